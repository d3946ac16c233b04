-- What a new installation starts with (spec 10 §17, steps 3 to 6). Run by the parent before it forks, in one transaction;
-- none of these may touch a table whose triggers raise the auth_epoch when there is nothing to change.

-- Concurrent starts take turns: the first makes the row, the others wait for its transaction.
-- name: seed_lock_row
insert into markers (name) values ('seed') on conflict do nothing;

-- name: seed_lock
select name from markers where name = 'seed' for update;

-- name: seed_role
-- params: name text, description text
insert into roles (name, description) values ($1, $2) on conflict (name) do nothing;

-- name: seed_role_permissions
-- params: role text, keys text[]
insert into role_permissions (role_id, permission_key, permission_value)
select o.id, k, true from roles o, unnest($2) k where o.name = $1
on conflict (role_id, permission_key) do nothing;

-- name: seed_admins_weakened
select p.id from role_permissions p join roles o on o.id = p.role_id
where o.name = 'Admins' and p.permission_key = 'sinas.*:all' and not p.permission_value;

-- name: seed_admins_restore
-- params: id uuid
update role_permissions set permission_value = true, updated_at = now() where id = $1;

-- name: seed_admins_count
select count(*) as count from user_roles m join roles o on o.id = m.role_id where o.name = 'Admins' and m.active;

-- name: seed_superadmin
-- params: email text
insert into users (email) values ($1)
on conflict (email) do update set is_active = true, updated_at = now() where not users.is_active;

-- name: seed_superadmin_join
-- params: email text
insert into user_roles (role_id, user_id)
select o.id, u.id from roles o, users u where o.name = 'Admins' and u.email = $1
on conflict (role_id, user_id) do update set active = true, removed_at = null, removed_by = null;

-- One row the first time, then never again.
-- name: seed_marker
-- params: name text
insert into markers (name) values ($1) on conflict do nothing returning name;

-- name: seed_default_agent
-- params: owner_email text, description text, system_prompt text
insert into agents (user_id, namespace, name, description, system_prompt, is_default)
select (select id from users where email = $1), 'default', 'default', $2, $3, true
where not exists (select from agents);
