-- Users as the management API shows them (spec 10 §6).

-- name: user_list
-- params: search text, include_inactive bool, offset_rows bigint, limit_rows int
select '[' || coalesce(string_agg(row_to_json(answer)::text, ','), '') || ']' as json
from (
    select u.id, u.email, u.is_active, wire_ts(u.last_login_at) as last_login_at, wire_ts(u.created_at) as created_at,
           (select coalesce(array_agg(o.name order by o.name collate "C"), '{}')
            from user_roles m join roles o on o.id = m.role_id
            where m.user_id = u.id and m.active) as roles
    from users u
    where (u.is_active or $2) and ($1 is null or position(lower($1) in u.email) > 0)
    order by u.created_at desc, u.id
    offset $3 limit $4
) answer;

-- name: user_get
-- params: id uuid
select answer.is_active, answer.email, row_to_json(answer)::text as json
from (
    select u.id, u.email, u.is_active, wire_ts(u.last_login_at) as last_login_at, wire_ts(u.created_at) as created_at,
           (select coalesce(array_agg(o.name order by o.name collate "C"), '{}')
            from user_roles m join roles o on o.id = m.role_id
            where m.user_id = u.id and m.active) as roles
    from users u where u.id = $1
) answer;

-- A new user, or one who was deactivated and is taken back. No row when there is an active one.
-- name: user_add
-- params: id uuid, email text
insert into users (id, email) values ($1, $2)
on conflict (email) do update set is_active = true, updated_at = now() where not users.is_active
returning id;

-- Deletion: the row stays, with everything the user owns; every credential ends.
-- name: user_deactivate
-- params: id uuid, by uuid
with who as (
    update users set is_active = false, updated_at = now() where id = $1 returning id, email
), memberships as (
    update user_roles m set active = false, removed_at = now(), removed_by = $2
    from who where m.user_id = who.id and m.active
), keys as (
    update api_keys k set is_active = false, revoked_at = now(), revoked_by = $2
    from who where k.user_id = who.id and k.is_active
), tokens as (
    update refresh_tokens t set is_revoked = true, revoked_at = now()
    from who where t.user_id = who.id and not t.is_revoked
), codes as (
    delete from otp_sessions s using who where s.email = who.email
)
select id from who;
