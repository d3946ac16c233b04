-- Resource kinds. The statements of the five verbs are made from descriptors (handlers/resource_sql.c).

-- The turn of whoever gives a flag that one row of a kind may have to another row; held until the transaction ends.
-- name: exclusive_lock
-- params: name text
insert into markers as m (name) values ('exclusive:' || $1)
on conflict (name) do update set created_at = m.created_at;
