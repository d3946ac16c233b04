-- What goes over the wire of a chat and a message, as types: row_to_json() of a
-- row of such a type is a plain expression, so that the planner puts the
-- functions' bodies into the statements that call them. With a subquery
-- as body each call ran an executor of its own (3 times as long for a list of messages).

create type chat_wire as (
    id uuid, user_id uuid, user_email text, agent_id uuid, agent_namespace text, agent_name text, title text,
    archived boolean, session_key text, expires_at text, keep_alive boolean, active_channel_id uuid,
    created_at text, updated_at text, last_message_at text);

create type message_wire as (
    id uuid, chat_id uuid, role text, content text, tool_calls json, tool_call_id text, name text, created_at text);

create or replace function chat_body(c chats, email text) returns text
language sql stable parallel safe
return row_to_json(row(
    c.id, c.user_id, email, c.agent_id, c.agent_namespace, c.agent_name, c.title, c.archived, c.session_key,
    wire_ts(c.expires_at), c.keep_alive, c.active_channel_id, wire_ts(c.created_at), wire_ts(c.updated_at),
    wire_ts(c.last_message_at))::chat_wire)::text;

create or replace function message_body(m messages) returns text
language sql stable parallel safe
return row_to_json(row(
    m.id, m.chat_id, m.role, m.content, m.tool_calls, m.tool_call_id, m.name, wire_ts(m.created_at))::message_wire)::text;
