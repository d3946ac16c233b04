/* What agents refer to, checked and brought into one form when it is written (spec 20 §1.2), so that reads
 * need no work. */
#ifndef HANDLERS_RESOURCES_AGENT_H
#define HANDLERS_RESOURCES_AGENT_H

#include "handlers/check.h"

/* Columns' check and normal hooks: items may be plain texts, and are stored as objects. */
void agent_check_skills(struct check *c, const struct json *v);
struct str agent_normal_skills(struct arena *a, const struct json *v);
void agent_check_collections(struct check *c, const struct json *v);
struct str agent_normal_collections(struct arena *a, const struct json *v);
void agent_check_stores(struct check *c, const struct json *v);
struct str agent_normal_stores(struct arena *a, const struct json *v);
struct str agent_normal_connectors(struct arena *a, const struct json *v);
/* Items are texts or {"name", "connections"}, and are stored as they came, the object with both keys. */
void agent_check_tools(struct check *c, const struct json *v);
struct str agent_normal_tools(struct arena *a, const struct json *v);
/* "agent" is another name of the role assistant. */
struct str agent_normal_messages(struct arena *a, const struct json *v);
/* camelCase keys are taken, snake_case is stored. */
struct str agent_normal_hooks(struct arena *a, const struct json *v);
void agent_check_templates(struct check *c, const struct json *v);

extern const struct column agent_ref_item, agent_any_ref_item, agent_connector_item, agent_message_item;
extern const struct body agent_hooks_shape;

#endif
