-- Model providers, agents, skills: 20 §1.2, §2, §15.1.

-- api_key is a Fernet token. Deleting is is_active = false, the name stays taken.
create table llm_providers (
    id uuid primary key default gen_random_uuid(),
    name varchar(100) not null check (name <> ''),
    provider_type varchar(20) not null check (provider_type in ('openai', 'anthropic', 'mistral', 'ollama')),
    api_key text,
    api_endpoint varchar(500),
    default_model varchar(100),
    config json not null default '{}',
    is_default boolean not null default false,
    is_active boolean not null default true,
    managed_by text,
    config_name text,
    config_checksum text,
    created_at timestamptz not null default now(),
    updated_at timestamptz,
    constraint llm_providers_name_key unique (name),
    constraint llm_providers_endpoint check (provider_type <> 'ollama' or api_endpoint is not null),
    -- Checked at the end of a statement, so that one may move the flag from row to row.
    constraint llm_providers_one_default exclude (is_default with =) where (is_default)
        deferrable initially immediate
);

create table agents (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references users on delete set null,
    namespace varchar(255) not null default 'default' check (namespace <> ''),
    name varchar(255) not null check (name <> ''),
    description text,
    llm_provider_id uuid references llm_providers on delete set null,
    model varchar(100),
    temperature numeric not null default 0.7 check (temperature between 0 and 2), -- keeps the digits it came with
    max_tokens int check (max_tokens >= 1),
    system_prompt text,
    input_schema json not null default '{}',
    output_schema json not null default '{}',
    initial_messages json,
    enabled_functions json not null default '[]',
    function_parameters json not null default '{}',
    enabled_agents json not null default '[]',
    enabled_skills json not null default '[]',
    enabled_queries json not null default '[]',
    query_parameters json not null default '{}',
    enabled_collections json not null default '[]',
    enabled_stores json not null default '[]',
    enabled_components json not null default '[]',
    enabled_connectors json not null default '[]',
    hooks json,
    system_tools json not null default '[]',
    status_templates json not null default '{}',
    provider_overrides json not null default '{}',
    icon varchar(512),
    is_active boolean not null default true,
    is_default boolean not null default false,
    default_job_timeout int check (default_job_timeout > 0),
    default_keep_alive boolean not null default false,
    managed_by text,
    config_name text,
    config_checksum text,
    created_at timestamptz not null default now(),
    updated_at timestamptz,
    constraint agents_one_default exclude (is_default with =) where (is_default)
        deferrable initially immediate
);

-- A deleted agent (is_active = false) gives its name free.
create unique index agents_namespace_name_key on agents (namespace, name) where is_active;
create index agents_user on agents (user_id);
create index agents_provider on agents (llm_provider_id);
create index agents_managed_by on agents (managed_by) where managed_by is not null;

create table skills (
    id uuid primary key default gen_random_uuid(),
    user_id uuid references users on delete set null,
    namespace varchar(255) not null default 'default' check (namespace <> ''),
    name varchar(255) not null check (name <> ''),
    description text not null check (description <> ''),
    content text not null check (content <> ''),
    is_active boolean not null default true,
    managed_by text,
    config_name text,
    config_checksum text,
    created_at timestamptz not null default now(),
    updated_at timestamptz,
    constraint skills_namespace_name_key unique (namespace, name)
);

create index skills_user on skills (user_id);
create index skills_managed_by on skills (managed_by) where managed_by is not null;
