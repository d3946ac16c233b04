-- Credentials, logins and what goes with them (spec 10 §2). Answers are rendered by
-- row_to_json, which is compact.

-- The number that every change to users, keys, roles, members or grants raises.
-- name: auth_epoch
select epoch from auth_epoch;

-- Everything about a login's user, or about one of his keys when api_key_id is given. Always one row.
-- name: auth_by_user
-- params: user_id uuid, api_key_id uuid
select e.epoch, u.id as user_id, u.email,
       k.id as api_key_id, k.permissions::text as key_permissions,
       (extract(epoch from k.expires_at) * 1000000)::bigint as key_expires_us,
       (select json_agg(distinct p.permission_key)
        from user_roles m join role_permissions p on p.role_id = m.role_id
        where m.user_id = u.id and m.active and p.permission_value) as grants
from auth_epoch e
left join users u on u.id = $1 and u.is_active
left join api_keys k on k.id = $2 and k.user_id = u.id and k.is_active
     and (k.expires_at is null or k.expires_at > now());

-- The same for the text of a key.
-- name: auth_by_key
-- params: key_hash text
select e.epoch, u.id as user_id, u.email,
       k.id as api_key_id, k.permissions::text as key_permissions,
       (extract(epoch from k.expires_at) * 1000000)::bigint as key_expires_us,
       (select json_agg(distinct p.permission_key)
        from user_roles m join role_permissions p on p.role_id = m.role_id
        where m.user_id = u.id and m.active and p.permission_value) as grants
from auth_epoch e
left join api_keys k on k.key_hash = $1 and k.is_active and (k.expires_at is null or k.expires_at > now())
left join users u on u.id = k.user_id and u.is_active;

-- name: api_key_used
-- params: api_key_id uuid
update api_keys set last_used_at = now()
where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute');

-- Who may log in: a known user, or nobody yet and a role that takes in his domain (§2.7). Always one row.
-- name: login_user
-- params: email text, domain text
select u.id, coalesce(u.is_active, false) as is_active,
       exists (select from roles where name <> 'Admins' and lower(email_domain) = $2) as has_domain_role
from (select) nothing
left join users u on u.email = $1;

-- name: otp_begin
-- params: session_id uuid, email text, code_hash text, minutes int
with old as (delete from otp_sessions where email = $2)
insert into otp_sessions (id, email, otp_code, expires_at)
values ($1, $2, $3, now() + make_interval(mins => $4));

-- name: otp_forget
-- params: session_id uuid
delete from otp_sessions where id = $1;

-- One guess. Counting and comparing are one statement, so that guesses made at once are counted one by one. What is
-- compared are keyed hashes: how long that takes tells nothing about the code.
-- name: otp_guess
-- params: session_id uuid, code_hash text, attempts_max int
update otp_sessions set attempts = attempts + 1, verified = otp_code = $2
where id = $1 and not verified and expires_at > now() and attempts < $3
returning email, verified;

-- name: otp_purge
delete from otp_sessions where verified or expires_at < now();

-- A login of a known user: no row when there is none or he is inactive.
-- name: login_finish
-- params: email text, token_hash text, token_prefix text, days int
with who as (
    update users set last_login_at = now() where email = $1 and is_active returning id, email
), token as (
    insert into refresh_tokens (user_id, token_hash, token_prefix, expires_at)
    select id, $2, $3, now() + make_interval(days => $4) from who
)
select id, email from who;

-- No row when the address is taken.
-- name: user_insert
-- params: id uuid, email text
insert into users (id, email) values ($1, $2)
on conflict (email) do nothing
returning id;

-- The roles of a new user: those of his domain, else the default one. Rows that were
-- removed are taken back.
-- name: user_join_roles
-- params: user_id uuid, domain text, default_role text, added_by uuid
with matching as (
    select id from roles where name <> 'Admins' and lower(email_domain) = $2
), joined as (
    select id from matching
    union all
    select id from roles where name = $3 and not exists (select from matching)
)
insert into user_roles (user_id, role_id, active, added_by)
select $1, id, true, $4 from joined
on conflict (role_id, user_id) do update
    set active = true, added_by = excluded.added_by, removed_at = null, removed_by = null
    where not user_roles.active;

-- A user as /auth/me and the token answers show him.
-- name: user_profile
-- params: user_id uuid
select row_to_json(answer)::text as json
from (
    select u.id, u.email, u.is_active, wire_ts(u.last_login_at) as last_login_at, wire_ts(u.created_at) as created_at,
           (select coalesce(array_agg(o.name order by o.name collate "C"), '{}')
            from user_roles m join roles o on o.id = m.role_id
            where m.user_id = u.id and m.active) as roles,
           case when u.external_user_id is not null then 'oidc' end as external_auth_provider,
           u.external_user_id as external_auth_id
    from users u where u.id = $1
) answer;

-- name: refresh_token_use
-- params: token_hash text
with token as (
    update refresh_tokens t set last_used_at = now()
    from users u
    where t.token_hash = $1 and not t.is_revoked and t.expires_at > now() and u.id = t.user_id and u.is_active
    returning u.id
)
update users u set last_login_at = now() from token where u.id = token.id
returning u.id, u.email;

-- One row for every known token, revoked before or not.
-- name: refresh_token_revoke
-- params: token_hash text
update refresh_tokens set is_revoked = true, revoked_at = coalesce(revoked_at, now())
where token_hash = $1
returning id;
