-- Statements of the program's commands, run without a server.

-- A key of the superadmin: the given address if it is an admin's, else the admin of longest standing.
-- No row when there is no admin.
-- name: command_key_insert
-- params: email text, name text, key_hash text, key_prefix text, permissions json, minutes int?
insert into api_keys (user_id, created_by, name, key_hash, key_prefix, permissions, expires_at)
select u.id, u.id, $2, $3, $4, $5, now() + make_interval(mins => $6)
from (
    select u.id
    from users u join user_roles m on m.user_id = u.id join roles o on o.id = m.role_id
    where o.name = 'Admins' and m.active and u.is_active
    order by (u.email = $1) is true desc, m.added_at, u.id
    limit 1
) u
returning id;
