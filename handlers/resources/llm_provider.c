/* Who answers: the model providers and their credentials (spec 20 §15). Administrators only. */
#include "handlers/resources/kinds.h"

/* Forms that are left empty mean "none". */
static void check_endpoint(struct check *c, const struct json *v)
{
    if (json_text(v).n != 0)
        check_http_url(c, v);
}

static struct str normal_endpoint(struct arena *a UNUSED, const struct json *v)
{
    return json_text(v).n != 0 ? json_text(v) : STR_NONE;
}

/* clang-format off */
static const struct column llm_provider_columns[] = {
    {"id",            COL_UUID,   COL_READ_ONLY},
    {"name",          COL_TEXT,   COL_KEY | COL_REQUIRED, 100, 1},
    {"provider_type", COL_ENUM,   COL_REQUIRED | COL_ANY_CASE, .choices = "openai|anthropic|mistral|ollama"},
    {"api_key",       COL_TEXT,   COL_SECRET | COL_NULLABLE},
    {"has_api_key",   COL_BOOL,   COL_READ_ONLY, .sql = "t.api_key is not null"},
    {"api_endpoint",  COL_TEXT,   COL_NULLABLE, 500, .check = check_endpoint, .normal = normal_endpoint},
    {"default_model", COL_TEXT,   COL_NULLABLE, 100},
    {"config",        COL_OBJECT, 0, .fallback = "{}"},
    {"is_default",    COL_BOOL,   0, .fallback = "false"},
    {"is_active",     COL_BOOL,   0, .fallback = "true"},
    {"created_at",    COL_TIME,   COL_READ_ONLY},
    {"updated_at",    COL_TIME,   COL_READ_ONLY | COL_NULLABLE},
};
/* clang-format on */

static const struct violation llm_provider_violations[] = {
    {"llm_providers_endpoint", 422, "api_endpoint", "api_endpoint is required for ollama"},
};

const struct resource llm_provider_resource = {
    .noun = "LLM provider",
    .table = "llm_providers",
    .permission = "sinas.llm_providers",
    .key = KEY_NAME_OR_ID,
    .is_fixed = true,
    .packaged = true,
    .soft_delete = true,
    .inactive = INACTIVE_LISTED,
    .exclusive = "is_default",
    .order = "t.created_at desc, t.id",
    .duplicate = "LLM provider with name",
    .violations = llm_provider_violations,
    .violations_count = nelem(llm_provider_violations),
    RESOURCE_BODIES("LLMProvider", llm_provider_columns),
    RESOURCE_LIST_TAKES("LLMProvider", LIST_PAGED),
};
