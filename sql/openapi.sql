-- What the OpenAPI document of the runtime lists for its caller (spec 10 §16).

-- The agents behind one name; their names alone decide who may chat with them.
-- name: openapi_agents
-- params: after_namespace text, after_name text, row_limit int
select namespace, name, description, input_schema::text as input_schema
  from agents
 where is_active and (namespace, name) > ($1, $2)
 order by namespace, name
 limit $3;
