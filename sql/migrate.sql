-- The migrator's own statements (reactor/migrate.c). Number 0 of the table is
-- no migration but the row that migrators lock.

-- name: schema_exists
select to_regclass('schema_migrations') is not null as exists;

-- name: schema_create
create table if not exists schema_migrations (
    number int primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
);

-- name: schema_create_lock
insert into schema_migrations (number, name, checksum) values (0, 'lock', '') on conflict do nothing;

-- name: schema_lock
select from schema_migrations where number = 0 for update;

-- name: schema_applied
select number, name, checksum from schema_migrations where number > 0 order by number;

-- name: schema_record
-- params: number int, name text, checksum text
insert into schema_migrations (number, name, checksum) values ($1, $2, $3);
