-- Conversations: 20 §3, §5, §6, §8.6, §17.

-- last_seq numbers the chat's messages; last_message_at is kept beside it, so
-- that lists need not look at messages. The insert of a message moves both.
create table chats (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users on delete cascade,
    agent_id uuid references agents on delete set null,
    agent_namespace varchar(255),
    agent_name varchar(255),
    title varchar(500) not null,
    archived boolean not null default false,
    session_key varchar(500),
    expires_at timestamptz,
    keep_alive boolean,
    job_timeout int check (job_timeout > 0),
    chat_metadata json,
    active_channel_id uuid,
    last_seq bigint not null default 0,
    last_message_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
) with (fillfactor = 80);

create unique index chats_agent_id_session_key_key on chats (agent_id, session_key) where not archived;
create index chats_user on chats (user_id, updated_at desc, id);
create index chats_agent on chats (agent_id);
create index chats_expiry on chats (expires_at) where expires_at is not null;

-- content_is_parts: whether content is the JSON text of an array of parts (§9.2); null in rows that are older than the flag.
create table messages (
    id uuid primary key default gen_random_uuid(),
    chat_id uuid not null references chats on delete cascade,
    seq bigint not null,
    role varchar(20) not null check (role in ('user', 'assistant', 'tool', 'system')),
    content text,
    content_is_parts boolean,
    tool_calls json,
    tool_call_id text,
    name text,
    created_at timestamptz not null default clock_timestamp(),
    constraint messages_chat_id_seq_key unique (chat_id, seq)
);

create index messages_newest on messages (created_at desc, id);
create index messages_tool_call on messages (chat_id, tool_call_id) where tool_call_id is not null;

-- What goes over the wire (§3.2, §3.3): row_to_json() writes no blanks and leaves json columns as they are. The
-- functions are one expression over a row of a type, so that PostgreSQL inlines them: measured, a
-- subselect in their place costs five times as much per message.
create type chat_wire as (
    id uuid,
    user_id uuid,
    user_email text,
    agent_id uuid,
    agent_namespace text,
    agent_name text,
    title text,
    archived boolean,
    session_key text,
    expires_at text,
    keep_alive boolean,
    active_channel_id uuid,
    created_at text,
    updated_at text,
    last_message_at text
);

create function chat_body(c chats, email text) returns text
language sql stable parallel safe
return row_to_json(row(c.id, c.user_id, email, c.agent_id, c.agent_namespace, c.agent_name, c.title, c.archived,
                       c.session_key, wire_ts(c.expires_at), c.keep_alive, c.active_channel_id, wire_ts(c.created_at),
                       wire_ts(c.updated_at), wire_ts(c.last_message_at))::chat_wire)::text;

create type message_wire as (
    id uuid,
    chat_id uuid,
    role text,
    content text,
    tool_calls json,
    tool_call_id text,
    name text,
    created_at text
);

create function message_body(m messages) returns text
language sql stable parallel safe
return row_to_json(row(m.id, m.chat_id, m.role, m.content, m.tool_calls, m.tool_call_id, m.name,
                       wire_ts(m.created_at))::message_wire)::text;

-- The last turn of a chat: while it runs (ended_at is null) the row is the chat's
-- lock and tells a survivor what to end; afterwards it says which terminal event its channel must have,
-- until the next turn takes the row. node_id refers to nodes without a foreign
-- key: a node's row may go first. generation counts the reactors of a node: all but its
-- newest are dead.
create table turns (
    chat_id uuid primary key references chats on delete cascade,
    channel_id uuid not null,
    node_id uuid not null,
    generation int not null,
    round int not null default 0 check (round >= 0),
    user_id uuid not null references users on delete cascade,
    api_key_id uuid references api_keys on delete set null,
    started_at timestamptz not null default now(),
    cancel_at timestamptz,
    ended_at timestamptz,
    error text
) with (fillfactor = 80);

create unique index turns_channel on turns (channel_id);
create index turns_open on turns (node_id) where ended_at is null;
create index turns_user on turns (user_id);
create index turns_api_key on turns (api_key_id);

-- A tool call that waits for a person. All of one assistant message are decided together.
create table pending_approvals (
    id uuid primary key default gen_random_uuid(),
    chat_id uuid not null references chats on delete cascade,
    message_id uuid not null references messages on delete cascade,
    position int not null default 0,
    tool_call_id text not null,
    function_namespace varchar(255) not null,
    function_name varchar(255) not null,
    arguments json not null default '{}',
    user_id uuid not null references users on delete cascade,
    api_key_id uuid references api_keys on delete set null,
    round int not null default 0,
    approved boolean,
    decided_at timestamptz,
    decided_by uuid references users on delete set null,
    created_at timestamptz not null default now(),
    constraint pending_approvals_decision check ((approved is null) = (decided_at is null))
);

create unique index pending_approvals_open on pending_approvals (chat_id, tool_call_id) where decided_at is null;
create index pending_approvals_message on pending_approvals (message_id);

-- One row per call of a model; outlives the chat. Read by others by these names.
create table llm_usage (
    id uuid primary key default gen_random_uuid(),
    chat_id uuid,
    message_id uuid,
    user_id uuid,
    agent_id uuid,
    provider text,
    model text,
    prompt_tokens int not null default 0,
    completion_tokens int not null default 0,
    total_tokens int not null default 0,
    cache_read_tokens int not null default 0,
    cache_write_tokens int not null default 0,
    latency_ms int,
    error text,
    created_at timestamptz not null default now()
);

create index llm_usage_chat on llm_usage (chat_id);
create index llm_usage_newest on llm_usage (created_at);
