-- What all areas use. Rules for every migration: timestamptz for times, uuid
-- for ids, json (never jsonb) for what users store as JSON, so that it comes
-- back byte for byte; foreign keys and checks are named by PostgreSQL unless a
-- handler tells them apart.

-- The one written form of a time (10 §1.3): 2026-01-02T03:04:05Z, or six digits
-- of fraction when there is one. The result depends on no session setting; it
-- is declared stable all the same, because a body that calls to_char() is only
-- inlined into statements when it does not claim more than to_char() does.
create function wire_ts(at timestamptz) returns text
language sql stable strict parallel safe
return replace(to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z');

-- Raised in the transaction of every change to users, keys, roles, members or
-- grants, so that each node sees with the credential's own statement whether
-- what it cached is still true.
create table auth_epoch (
    is_one boolean primary key default true check (is_one),
    epoch bigint not null
);

insert into auth_epoch (epoch) values (1);

create function auth_epoch_raise() returns trigger
language plpgsql
as $$
begin
    update auth_epoch set epoch = epoch + 1;
    return null;
end
$$;

-- For inserts and deletes: a statement that touched no row raises nothing.
create function auth_epoch_raise_if_any() returns trigger
language plpgsql
as $$
begin
    if exists (select from changed) then
        update auth_epoch set epoch = epoch + 1;
    end if;
    return null;
end
$$;

-- Acts that happen once per database, such as creating the default agent.
create table markers (
    name text primary key,
    created_at timestamptz not null default now()
);

-- Nodes that run turns and jobs. A node whose lease has ended is dead.
create table nodes (
    id uuid primary key,
    lease_expires_at timestamptz not null,
    started_at timestamptz not null default now()
);

create index nodes_lease on nodes (lease_expires_at);
