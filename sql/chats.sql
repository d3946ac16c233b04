-- Chats, messages, turns (spec 20 §3, §5, §7, §8). Rows that go out as they are
-- are finished JSON: row_to_json() writes no blanks and leaves json columns untouched.

-- name: chat_agent
-- params: namespace text, name text
select id, input_schema::text as input_schema, initial_messages::text as initial_messages, default_job_timeout,
       default_keep_alive
  from agents
 where namespace = $1 and name = $2 and is_active;

-- A chat and its agent's initial messages, as one commit.
-- name: chat_create
-- params: user_id uuid, agent_id uuid, agent_namespace text, agent_name text, title text
-- params: session_key text, expires_in int?, keep_alive bool?, job_timeout int?, metadata json, messages json
with first as (
    select ordinality as seq,
           case value->>'role' when 'agent' then 'assistant' else value->>'role' end as role,
           value->>'content' as content
      from json_array_elements(coalesce($11, '[]'::json)) with ordinality
), chat as (
    insert into chats (user_id, agent_id, agent_namespace, agent_name, title, session_key, expires_at, keep_alive,
                       job_timeout, chat_metadata, last_seq, last_message_at)
    values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8, $9, $10, (select count(*) from first),
            case when exists (select from first) then now() end)
    returning id, user_id, chats as row
), stored as (
    insert into messages (chat_id, seq, role, content, content_is_parts)
    select chat.id, first.seq, first.role, first.content, false from chat, first
)
select chat.id, chat_body(chat.row, u.email) as body
  from chat join users u on u.id = chat.user_id;

-- name: chat_list
-- params: user_id uuid, include_archived bool, agent_namespace text, agent_name text, skip bigint, row_limit bigint?
select '[' || coalesce(string_agg(body, ','), '') || ']' as body from (
    select chat_body(c, u.email) as body
      from chats c join users u on u.id = c.user_id
     where c.user_id = $1
       and ($2 or not c.archived)
       and (c.expires_at is null or c.expires_at > now())
       and ($3 is null or (c.agent_namespace = $3 and c.agent_name = $4))
     order by c.updated_at desc, c.id
    offset $5 limit $6) page;

-- name: chat_get
-- params: id uuid, user_id uuid
select c.agent_namespace, c.agent_name,
       chat_body(c, u.email) as body
  from chats c join users u on u.id = c.user_id
 where c.id = $1 and c.user_id = $2 and (c.expires_at is null or c.expires_at > now());

-- name: chat_get_with_messages
-- params: id uuid, user_id uuid
select c.agent_namespace, c.agent_name,
       chat_body(c, u.email) as body,
       (select string_agg(y.body, ',' order by y.seq) from (
            select m.seq, message_body(m) as body from messages m where m.chat_id = c.id) y) as messages,
       (select string_agg(y.body, ',' order by y.created_at, y.position) from (
            select a.created_at, a.position, (select row_to_json(x) from (
                select a.tool_call_id, a.function_namespace, a.function_name, a.arguments) x)::text as body
              from pending_approvals a where a.chat_id = c.id and a.decided_at is null) y) as approvals
  from chats c join users u on u.id = c.user_id
 where c.id = $1 and c.user_id = $2 and (c.expires_at is null or c.expires_at > now());

-- name: chat_messages
-- params: id uuid, user_id uuid, skip bigint, row_limit bigint?
select c.agent_namespace, c.agent_name,
       (select string_agg(y.body, ',' order by y.seq) from (
            select m.seq, message_body(m) as body from messages m
             where m.chat_id = c.id order by m.seq offset $3 limit $4) y) as messages
  from chats c
 where c.id = $1 and c.user_id = $2 and (c.expires_at is null or c.expires_at > now());

-- name: chat_update
-- params: id uuid, user_id uuid, title text, archived bool?
update chats c
   set title = coalesce($3, title), archived = coalesce($4, archived), updated_at = now()
  from users u
 where c.id = $1 and c.user_id = $2 and u.id = c.user_id
returning chat_body(c, u.email) as body;

-- Archives, and asks whoever runs a turn of the chat to stop.
-- name: chat_archive
-- params: id uuid, user_id uuid
with chat as (
    update chats set archived = true, updated_at = now() where id = $1 and user_id = $2 returning id
)
update turns set cancel_at = now() from chat where turns.chat_id = chat.id and ended_at is null;

-- name: chat_session
-- params: agent_id uuid, session_key text
select id, user_id from chats
 where agent_id = $1 and session_key = $2 and not archived and (expires_at is null or expires_at > now());

-- name: chat_session_archive
-- params: agent_id uuid, session_key text, user_id uuid
update chats set archived = true, updated_at = now()
 where agent_id = $1 and session_key = $2 and user_id = $3 and not archived;

-- An expired session chat gives its key free before the sweep has deleted it.
-- name: chat_session_expire
-- params: agent_id uuid, session_key text
update chats set archived = true where agent_id = $1 and session_key = $2 and not archived and expires_at <= now();

-- name: chats_delete_expired
-- params: row_limit int
delete from chats where id in (
    select id from chats where expires_at < now() order by expires_at limit $1 for update skip locked);

-- What a turn needs to know of its chat, agent and provider. The agent's own
-- provider counts when its row exists, else the active default one (§8.3).
-- name: chat_context
-- params: id uuid
select c.user_id, c.agent_namespace, c.agent_name, c.keep_alive, c.job_timeout,
       a.id as agent_id, a.model, a.temperature, a.max_tokens, a.system_prompt,
       case when json_typeof(a.output_schema->'properties') = 'object' and (a.output_schema->>'properties') !~ '^\s*\{\s*\}\s*$'
            then a.output_schema::text end as output_schema,
       a.provider_overrides::text as provider_overrides, a.default_job_timeout,
       p.id as provider_id, p.name as provider_name, p.provider_type, p.api_key, p.api_endpoint, p.default_model,
       p.config::text as config, p.is_active as provider_is_active,
       (select string_agg(y.body, ',' order by y.ordinality) from (
            select s.ordinality, (select row_to_json(x) from (
                select k.namespace || '/' || k.name as name, k.content) x)::text as body
              from json_array_elements(a.enabled_skills) with ordinality s
              join skills k on k.namespace || '/' || k.name = s.value->>'skill' and k.is_active
             where s.value->>'preload' = 'true') y) as preloaded_skills
  from chats c
  left join agents a on a.id = c.agent_id and a.is_active
  left join lateral (
       select * from llm_providers l
        where l.id = a.llm_provider_id
           or (l.is_default and l.is_active and not exists (select from llm_providers o where o.id = a.llm_provider_id))
        limit 1) p on true
 where c.id = $1 and (c.expires_at is null or c.expires_at > now());

-- Takes the chat's lock, stores the user's message and reads the conversation, as chat_history does: no row when
-- another turn runs. The messages before it are those of the statement's beginning: when a turn ended while the
-- lock was waited for, its last ones are missing, and the numbers have a gap.
-- name: turn_begin
-- params: chat_id uuid, channel_id uuid, node_id uuid, generation int, user_id uuid, api_key_id uuid
-- params: content text, content_is_parts bool, row_limit int
with turn as (
    insert into turns (chat_id, channel_id, node_id, generation, user_id, api_key_id)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (chat_id) do update
       set channel_id = excluded.channel_id, node_id = excluded.node_id, generation = excluded.generation, round = 0,
           user_id = excluded.user_id, api_key_id = excluded.api_key_id, started_at = now(), cancel_at = null,
           ended_at = null, error = null
     where turns.ended_at is not null
    returning chat_id
), chat as (
    update chats set last_seq = last_seq + 1, active_channel_id = $2, updated_at = now(), last_message_at = now()
      from turn where chats.id = turn.chat_id
    returning chats.id, last_seq
), stored as (
    insert into messages (chat_id, seq, role, content, content_is_parts, created_at)
    select id, last_seq, 'user', $7, $8, now() from chat
    returning *
), newest as (
    select * from messages where chat_id = $1 order by seq desc limit $9 - 1
), first as (
    select seq, role from newest order by seq limit 1
), caller as (
    select m.* from messages m, first
     where first.role = 'tool' and m.chat_id = $1 and m.seq < first.seq and m.role = 'assistant'
       and m.tool_calls is not null
     order by m.seq desc limit 1
)
select seq, role, content, content_is_parts, tool_calls::text as tool_calls, tool_call_id, name
  from (select * from newest union all select * from caller union all select * from stored) m
 where exists (select from stored)
 order by seq;

-- The last messages, oldest first; where they start with results, the message that called them too (§8.4).
-- name: chat_history
-- params: chat_id uuid, row_limit int
with newest as (
    select * from messages where chat_id = $1 order by seq desc limit $2
), first as (
    select seq, role, tool_call_id from newest order by seq limit 1
), caller as (
    select m.* from messages m, first
     where first.role = 'tool' and m.chat_id = $1 and m.seq < first.seq and m.role = 'assistant'
       and m.tool_calls is not null
     order by m.seq desc limit 1
)
select seq, role, content, content_is_parts, tool_calls::text as tool_calls, tool_call_id, name
  from (select * from newest union all select * from caller) m
 order by seq;

-- One message of a running turn. No row when the turn is no longer its owner's.
-- name: turn_message
-- params: channel_id uuid, role text, content text, tool_calls json, tool_call_id text, name text, round int
with turn as (
    update turns set round = $7 where channel_id = $1 and ended_at is null returning chat_id
), chat as (
    update chats set last_seq = last_seq + 1, updated_at = now(), last_message_at = now()
      from turn where chats.id = turn.chat_id
    returning chats.id, last_seq
)
insert into messages (chat_id, seq, role, content, content_is_parts, tool_calls, tool_call_id, name, created_at)
select id, last_seq, $2, $3, false, $4, $5, $6, now() from chat
returning id, seq;

-- The end of a turn: its last messages (partial text first, then the answer or the error's text), its usage, the lock.
-- name: turn_end
-- params: channel_id uuid, partial text, content text, error text, usage json
with turn as (
    update turns set ended_at = now(), error = $4 where channel_id = $1 and ended_at is null
    returning chat_id, user_id, round
), added as (
    select row_number() over (order by position) as n, content
      from (values (1, $2), (2, $3)) t (position, content)
     where content is not null
), chat as (
    update chats
       set last_seq = last_seq + (select count(*) from added), active_channel_id = null, updated_at = now(),
           last_message_at = case when exists (select from added) then now() else last_message_at end
      from turn where chats.id = turn.chat_id
    returning chats.id, chats.agent_id, last_seq
), stored as (
    insert into messages (chat_id, seq, role, content, content_is_parts, created_at)
    select chat.id, chat.last_seq - (select count(*) from added) + added.n, 'assistant', added.content, false, now()
      from chat, added
    returning id, seq, messages as row
), last as (
    select * from stored order by seq desc limit 1
), ledger as (
    insert into llm_usage (chat_id, message_id, user_id, agent_id, provider, model, prompt_tokens, completion_tokens,
                           total_tokens, latency_ms, error)
    select turn.chat_id, (select id from last), turn.user_id, chat.agent_id, u.provider, u.model, u.prompt_tokens,
           u.completion_tokens, u.total_tokens, u.latency_ms, u.error
      from turn, chat, json_to_recordset($5) u (provider text, model text, prompt_tokens int, completion_tokens int,
                                                total_tokens int, latency_ms int, error text)
)
select (select message_body(last.row) from last) as body from turn;

-- name: turn_of_chat
-- params: chat_id uuid
select t.channel_id, t.node_id, t.generation, t.ended_at is not null as is_ended, t.error,
       coalesce(n.lease_expires_at > now(), false) as is_leased
  from turns t left join nodes n on n.id = t.node_id
 where t.chat_id = $1;

-- Turns whose reactor is dead and that need an end: still open, or ended so
-- recently that the terminal event may be missing.
-- name: turns_orphaned
-- params: node_id uuid, generation int
select t.chat_id, t.channel_id, t.ended_at is not null as is_ended, t.error
  from turns t left join nodes n on n.id = t.node_id
 where (t.ended_at is null or t.ended_at > now() - interval '5 minutes')
   and case when t.node_id = $1 then t.generation < $2
            else coalesce(n.lease_expires_at < now(), true) end;

-- Asks whoever runs the turn to stop it. No row when it has ended.
-- name: turn_cancel
-- params: channel_id uuid
update turns set cancel_at = now() where channel_id = $1 and ended_at is null returning chat_id;

-- Turns of this node that somebody wants stopped.
-- name: turns_cancelled
-- params: node_id uuid, generation int
select chat_id from turns where node_id = $1 and generation = $2 and ended_at is null and cancel_at is not null;

-- name: node_lease
-- lane: write
-- params: node_id uuid, seconds int
insert into nodes (id, lease_expires_at) values ($1, now() + make_interval(secs => $2))
    on conflict (id) do update set lease_expires_at = excluded.lease_expires_at;

-- Nodes that have been dead for a day and left nothing.
-- name: nodes_delete_dead
delete from nodes n where lease_expires_at < now() - interval '1 day'
   and not exists (select from turns t where t.node_id = n.id and t.ended_at is null);
