-- Who may do what: 10 §2.1, §3, §4, §6, §7.

create table users (
    id uuid primary key default gen_random_uuid(),
    email varchar(255) not null,
    is_active boolean not null default true,
    last_login_at timestamptz,
    external_user_id varchar(255),
    external_metadata json,
    last_external_sync timestamptz,
    managed_by text,
    config_name text,
    config_checksum text,
    created_at timestamptz not null default now(),
    updated_at timestamptz,
    constraint users_email_key unique (email),
    constraint users_external_user_id_key unique (external_user_id)
);

create index users_newest on users (created_at desc, id);

-- otp_code is the HMAC in hex, never the digits.
create table otp_sessions (
    id uuid primary key default gen_random_uuid(),
    email varchar(255) not null,
    otp_code varchar(64) not null,
    expires_at timestamptz not null,
    verified boolean not null default false,
    attempts int not null default 0 check (attempts >= 0),
    created_at timestamptz not null default now()
);

create index otp_sessions_email on otp_sessions (email);
create index otp_sessions_expiry on otp_sessions (expires_at);

create table refresh_tokens (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users on delete cascade,
    token_hash varchar(64) not null check (length(token_hash) = 64),
    token_prefix varchar(16) not null,
    is_revoked boolean not null default false,
    expires_at timestamptz not null,
    last_used_at timestamptz,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    constraint refresh_tokens_token_hash_key unique (token_hash)
);

create index refresh_tokens_user on refresh_tokens (user_id);
create index refresh_tokens_expiry on refresh_tokens (expires_at);

create table api_keys (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users on delete cascade,
    name varchar(255) not null check (name <> ''),
    key_hash varchar(64) not null check (length(key_hash) = 64),
    key_prefix varchar(16) not null,
    permissions json not null default '{}',
    is_active boolean not null default true,
    last_used_at timestamptz,
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    created_by uuid references users on delete set null,
    revoked_at timestamptz,
    revoked_by uuid references users on delete set null,
    constraint api_keys_key_hash_key unique (key_hash)
);

create index api_keys_user on api_keys (user_id, created_at desc);
create index api_keys_newest on api_keys (created_at desc, id);

create table roles (
    id uuid primary key default gen_random_uuid(),
    name varchar(255) not null check (name <> ''),
    description text,
    email_domain varchar(255),
    managed_by text,
    config_name text,
    config_checksum text,
    created_at timestamptz not null default now(),
    updated_at timestamptz,
    constraint roles_name_key unique (name)
);

create index roles_email_domain on roles (lower(email_domain)) where email_domain <> '';

-- Removal is soft: active is false and removed_* say when and by whom.
create table user_roles (
    id uuid primary key default gen_random_uuid(),
    role_id uuid not null references roles on delete cascade,
    user_id uuid not null references users on delete cascade,
    active boolean not null default true,
    added_at timestamptz not null default now(),
    added_by uuid references users on delete set null,
    removed_at timestamptz,
    removed_by uuid references users on delete set null,
    constraint user_roles_role_id_user_id_key unique (role_id, user_id)
);

create index user_roles_user on user_roles (user_id) where active;

create table role_permissions (
    id uuid primary key default gen_random_uuid(),
    role_id uuid not null references roles on delete cascade,
    permission_key varchar(255) not null check (permission_key <> ''),
    permission_value boolean not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz,
    constraint role_permissions_role_id_permission_key_key unique (role_id, permission_key)
);

-- The epoch rises with what decides about access, not with last_login_at,
-- last_used_at, descriptions or the tracking columns. A trigger with a column
-- list fires when a statement names such a column, and costs others nothing.
create trigger auth_epoch_insert after insert on users
    referencing new table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_delete after delete on users
    referencing old table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_update after update of id, email, is_active on users
    for each statement execute function auth_epoch_raise();

create trigger auth_epoch_insert after insert on api_keys
    referencing new table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_delete after delete on api_keys
    referencing old table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_update
    after update of id, user_id, key_hash, permissions, is_active, expires_at on api_keys
    for each statement execute function auth_epoch_raise();

create trigger auth_epoch_insert after insert on roles
    referencing new table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_delete after delete on roles
    referencing old table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_update after update of id, name on roles
    for each statement execute function auth_epoch_raise();

create trigger auth_epoch_insert after insert on user_roles
    referencing new table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_delete after delete on user_roles
    referencing old table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_update after update of role_id, user_id, active on user_roles
    for each statement execute function auth_epoch_raise();

create trigger auth_epoch_insert after insert on role_permissions
    referencing new table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_delete after delete on role_permissions
    referencing old table as changed for each statement execute function auth_epoch_raise_if_any();
create trigger auth_epoch_update
    after update of role_id, permission_key, permission_value on role_permissions
    for each statement execute function auth_epoch_raise();
