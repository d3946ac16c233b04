-- Roles, members, permissions (spec 10 §7).

-- The creator becomes a member.
-- name: role_insert
-- params: name text, description text, email_domain text, user_id uuid
with role as (
    insert into roles (name, description, email_domain) values ($1, $2, $3)
    returning id, name, description, email_domain, created_at, updated_at
), member as (
    insert into user_roles (role_id, user_id, added_by) select id, $4, $4 from role
)
select row_to_json(answer)::text as json
from (
    select id, name, description, email_domain, wire_ts(created_at) as created_at, wire_ts(updated_at) as updated_at
    from role
) answer;

-- All roles, or those of a member.
-- name: role_list
-- params: member_id uuid, offset_rows bigint, limit_rows int
select '[' || coalesce(string_agg(row_to_json(answer)::text, ','), '') || ']' as json
from (
    select o.id, o.name, o.description, o.email_domain, wire_ts(o.created_at) as created_at,
           wire_ts(o.updated_at) as updated_at
    from roles o
    where $1 is null or exists (select from user_roles m where m.role_id = o.id and m.user_id = $1 and m.active)
    order by o.name collate "C"
    offset $2 limit $3
) answer;

-- name: role_get
-- params: name text, user_id uuid
select answer.id, row_to_json(answer)::text as json,
       exists (select from user_roles m where m.role_id = answer.id and m.user_id = $2 and m.active) as is_member
from (
    select o.id, o.name, o.description, o.email_domain, wire_ts(o.created_at) as created_at,
           wire_ts(o.updated_at) as updated_at
    from roles o where o.name = $1
) answer;

-- name: role_update
-- params: id uuid, name text, has_description bool, description text, has_email_domain bool, email_domain text
with role as (
    update roles set name = coalesce($2, name),
                     description = case when $3 then $4 else description end,
                     email_domain = case when $5 then $6 else email_domain end,
                     updated_at = now()
    where id = $1
    returning id, name, description, email_domain, created_at, updated_at
)
select row_to_json(answer)::text as json
from (
    select id, name, description, email_domain, wire_ts(created_at) as created_at, wire_ts(updated_at) as updated_at
    from role
) answer;

-- name: role_delete
-- params: id uuid
delete from roles where id = $1;

-- Changes of one role's members take turns, so that the last admin is counted right.
-- name: role_lock
-- params: name text
select id from roles where name = $1 for update;

-- name: role_members
-- params: role_id uuid
select '[' || coalesce(string_agg(row_to_json(answer)::text, ','), '') || ']' as json
from (
    select m.id, m.role_id, m.user_id, u.email as user_email, m.active, wire_ts(m.added_at) as added_at
    from user_roles m join users u on u.id = m.user_id
    where m.role_id = $1 and m.active
    order by m.added_at, m.id
) answer;

-- Who is to become a member: always one row.
-- name: role_candidate
-- params: role_id uuid, user_id uuid
select exists (select from users where id = $2 and is_active) as is_user,
       exists (select from user_roles where role_id = $1 and user_id = $2 and active) as is_member;

-- A member who was removed before keeps his first added_at. No row when he is a member.
-- name: role_member_add
-- params: role_id uuid, user_id uuid, added_by uuid
with member as (
    insert into user_roles (role_id, user_id, added_by) values ($1, $2, $3)
    on conflict (role_id, user_id) do update
        set active = true, added_by = excluded.added_by, removed_at = null, removed_by = null
        where not user_roles.active
    returning id, role_id, user_id, active, added_at
)
select row_to_json(answer)::text as json
from (
    select m.id, m.role_id, m.user_id, u.email as user_email, m.active, wire_ts(m.added_at) as added_at
    from member m join users u on u.id = m.user_id
) answer;

-- Of a user in a role: always one row.
-- name: role_membership
-- params: role_id uuid, user_id uuid
select (select email from users where id = $2) as email,
       exists (select from user_roles where role_id = $1 and user_id = $2 and active) as is_member,
       exists (select from user_roles where role_id = $1 and user_id <> $2 and active) as has_others;

-- name: role_member_remove
-- params: role_id uuid, user_id uuid, removed_by uuid
update user_roles set active = false, removed_at = now(), removed_by = $3
where role_id = $1 and user_id = $2 and active;

-- name: role_permissions
-- params: role_id uuid
select '[' || coalesce(string_agg(row_to_json(answer)::text, ','), '') || ']' as json
from (
    select p.id, p.role_id, p.permission_key, p.permission_value, wire_ts(p.created_at) as created_at,
           wire_ts(p.updated_at) as updated_at
    from role_permissions p where p.role_id = $1
    order by p.created_at, p.id
) answer;

-- name: role_permission_set
-- params: role_id uuid, permission_key text, permission_value bool
with entry as (
    insert into role_permissions (role_id, permission_key, permission_value) values ($1, $2, $3)
    on conflict (role_id, permission_key) do update
        set permission_value = excluded.permission_value, updated_at = now()
    returning id, role_id, permission_key, permission_value, created_at, updated_at
)
select row_to_json(answer)::text as json
from (
    select id, role_id, permission_key, permission_value, wire_ts(created_at) as created_at,
           wire_ts(updated_at) as updated_at
    from entry
) answer;

-- name: role_permission_delete
-- params: role_id uuid, permission_key text
delete from role_permissions where role_id = $1 and permission_key = $2;
