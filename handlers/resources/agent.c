/* A named model configuration: prompt, schemas and the tools it may use (spec 20 §1). */
#include "handlers/resources/agent.h"

#include "handlers/resources/kinds.h"

#define AGENT_NAMESPACE "^[a-zA-Z][a-zA-Z0-9_-]*$"
#define AGENT_NAME      "^[a-zA-Z][a-zA-Z0-9 _\\-():]*$"

/* Icons that are files are resolved where files are served; anything else has no URL. */
#define AGENT_ICON_URL "case when t.icon ~* '^url:(https?://|data:image/)' then substr(t.icon, 5) end"

/* clang-format off */
static const struct column agent_columns[] = {
    {"id",                  COL_UUID,   COL_READ_ONLY},
    {"user_id",             COL_UUID,   COL_READ_ONLY | COL_NULLABLE},
    {"namespace",           COL_TEXT,   COL_KEY, 255, 1, .fallback = "\"default\"", .pattern = AGENT_NAMESPACE},
    {"name",                COL_TEXT,   COL_KEY | COL_REQUIRED, 255, 1, .pattern = AGENT_NAME},
    {"description",         COL_TEXT,   COL_NULLABLE},
    {"llm_provider_id",     COL_UUID,   COL_NULLABLE},
    {"model",               COL_TEXT,   COL_NULLABLE, 100},
    {"temperature",         COL_NUMBER, 0, .fallback = "0.7", .ge = "0", .le = "2"},
    {"max_tokens",          COL_INT,    COL_NULLABLE, .ge = "1"},
    {"system_prompt",       COL_TEXT,   COL_NULLABLE},
    {"input_schema",        COL_OBJECT, 0, .fallback = "{}"},
    {"output_schema",       COL_OBJECT, 0, .fallback = "{}"},
    {"initial_messages",    COL_ARRAY,  COL_NULLABLE, .item = &agent_message_item, .normal = agent_normal_messages},
    {"enabled_functions",   COL_TEXTS,  0, .fallback = "[]", .item = &agent_ref_item},
    {"function_parameters", COL_OBJECT, 0, .fallback = "{}"},
    {"enabled_agents",      COL_TEXTS,  0, .fallback = "[]", .item = &agent_any_ref_item},
    {"enabled_skills",      COL_ARRAY,  0, .fallback = "[]", .check = agent_check_skills, .normal = agent_normal_skills},
    {"enabled_queries",     COL_TEXTS,  0, .fallback = "[]", .item = &agent_ref_item},
    {"query_parameters",    COL_OBJECT, 0, .fallback = "{}"},
    {"enabled_collections", COL_ARRAY,  0, .fallback = "[]", .check = agent_check_collections, .normal = agent_normal_collections},
    {"enabled_stores",      COL_ARRAY,  0, .fallback = "[]", .check = agent_check_stores, .normal = agent_normal_stores},
    {"enabled_components",  COL_TEXTS,  0, .fallback = "[]", .item = &agent_ref_item},
    {"enabled_connectors",  COL_ARRAY,  0, .fallback = "[]", .item = &agent_connector_item, .normal = agent_normal_connectors},
    {"hooks",               COL_OBJECT, COL_NULLABLE, .shape = &agent_hooks_shape, .normal = agent_normal_hooks},
    {"system_tools",        COL_ARRAY,  0, .fallback = "[]", .check = agent_check_tools, .normal = agent_normal_tools},
    {"status_templates",    COL_OBJECT, 0, .fallback = "{}", .check = agent_check_templates},
    {"provider_overrides",  COL_OBJECT, 0, .fallback = "{}"},
    {"icon",                COL_TEXT,   COL_NULLABLE, 512},
    {"icon_url",            COL_TEXT,   COL_READ_ONLY | COL_NULLABLE, .sql = AGENT_ICON_URL},
    {"is_active",           COL_BOOL,   COL_UPDATE_ONLY},
    {"is_default",          COL_BOOL,   0, .fallback = "false"},
    {"default_job_timeout", COL_INT,    COL_NULLABLE, .gt = "0"},
    {"default_keep_alive",  COL_BOOL,   0, .fallback = "false"},
    {"created_at",          COL_TIME,   COL_READ_ONLY},
    {"updated_at",          COL_TIME,   COL_READ_ONLY | COL_NULLABLE},
};
/* clang-format on */

static const struct violation agent_violations[] = {
    {"agents_llm_provider_id_fkey", 400, "llm_provider_id", "LLM provider not found"},
};

const struct resource agent_resource = {
    .noun = "Agent",
    .table = "agents",
    .permission = "sinas.agents",
    .key = KEY_NS_NAME,
    .owned = true,
    .packaged = true,
    .soft_delete = true,
    .inactive = INACTIVE_GONE,
    .exclusive = "is_default",
    .order = "t.namespace, t.name",
    .violations = agent_violations,
    .violations_count = nelem(agent_violations),
    RESOURCE_BODIES("Agent", agent_columns),
    RESOURCE_LIST_TAKES("Agent", LIST_PAGED),
};
