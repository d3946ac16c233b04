-- API keys (spec 10 §3). Only hashes are stored.

-- name: api_key_insert
-- params: id uuid, user_id uuid, name text, key_hash text, key_prefix text, permissions json, expires_at timestamptz
insert into api_keys (id, user_id, created_by, name, key_hash, key_prefix, permissions, expires_at)
values ($1, $2, $2, $3, $4, $5, $6, $7)
returning wire_ts(expires_at) as expires_at, wire_ts(created_at) as created_at;

-- Everybody's without an owner.
-- name: api_key_list
-- params: owner_id uuid, offset_rows bigint, limit_rows int
select '[' || coalesce(string_agg(row_to_json(answer)::text, ','), '') || ']' as json
from (
    select k.id, k.user_id, u.email as user_email, k.name, k.key_prefix, k.permissions, k.is_active,
           wire_ts(k.last_used_at) as last_used_at, wire_ts(k.expires_at) as expires_at,
           wire_ts(k.created_at) as created_at, wire_ts(k.revoked_at) as revoked_at
    from api_keys k join users u on u.id = k.user_id
    where $1 is null or k.user_id = $1
    order by k.created_at desc, k.id
    offset $2 limit $3
) answer;

-- name: api_key_get
-- params: id uuid
select answer.id, answer.user_id, row_to_json(answer)::text as json
from (
    select k.id, k.user_id, u.email as user_email, k.name, k.key_prefix, k.permissions, k.is_active,
           wire_ts(k.last_used_at) as last_used_at, wire_ts(k.expires_at) as expires_at,
           wire_ts(k.created_at) as created_at, wire_ts(k.revoked_at) as revoked_at
    from api_keys k join users u on u.id = k.user_id
    where k.id = $1
) answer;

-- name: api_key_revoke
-- params: id uuid, revoked_by uuid
update api_keys set is_active = false, revoked_at = now(), revoked_by = $2 where id = $1 and is_active;
