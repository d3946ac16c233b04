/* Markdown documents that agents read (spec 20 §2, 40 §5). */
#include "handlers/resources/kinds.h"

#define SKILL_NAME "^[a-zA-Z][a-zA-Z0-9_-]*$"

/* clang-format off */
static const struct column skill_columns[] = {
    {"id",          COL_UUID, COL_READ_ONLY},
    {"user_id",     COL_UUID, COL_READ_ONLY | COL_NULLABLE},
    {"namespace",   COL_TEXT, COL_KEY, 255, 1, .fallback = "\"default\"", .pattern = SKILL_NAME},
    {"name",        COL_TEXT, COL_KEY | COL_REQUIRED, 255, 1, .pattern = SKILL_NAME},
    {"description", COL_TEXT, COL_REQUIRED, 0, 1},
    {"content",     COL_TEXT, COL_REQUIRED, 0, 1},
    {"is_active",   COL_BOOL, 0, .fallback = "true"},
    {"created_at",  COL_TIME, COL_READ_ONLY},
    {"updated_at",  COL_TIME, COL_READ_ONLY | COL_NULLABLE},
    {"managed_by",  COL_TEXT, COL_READ_ONLY | COL_NULLABLE},
    {"config_name", COL_TEXT, COL_READ_ONLY | COL_NULLABLE},
    {"config_checksum", COL_TEXT, COL_READ_ONLY | COL_NULLABLE},
};
/* clang-format on */

const struct resource skill_resource = {
    .noun = "Skill",
    .table = "skills",
    .permission = "sinas.skills",
    .key = KEY_NS_NAME,
    .owned = true,
    .packaged = true,
    .inactive = INACTIVE_UNLISTED,
    .order = "t.namespace, t.name",
    RESOURCE_BODIES("Skill", skill_columns),
    RESOURCE_LIST_TAKES("Skill", LIST_INACTIVE_TOO),
};
