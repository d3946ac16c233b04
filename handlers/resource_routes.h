/*
 * The five rows of a kind in the route table (routes.c), from its descriptor <kind>_resource:
 *
 *   RESOURCE_ROUTES("/api/v1/skills", "/{namespace}/{name}", PUT, skill),
 */
#ifndef HANDLERS_RESOURCE_ROUTES_H
#define HANDLERS_RESOURCE_ROUTES_H

#include "handlers/resources/kinds.h"

/* clang-format off */
#define RESOURCE_ROW(verb, path_, handler_, body_, kind) \
    {.method = HTTP_##verb, .path = (path_), .rule = RULE_OBJECT, .handler = (handler_), .body = (body_), \
     .data = &kind##_resource}
#define RESOURCE_ROUTES(base, key, update_verb, kind) \
    RESOURCE_ROW(POST, base, resource_create, &kind##_resource.create, kind), \
    RESOURCE_ROW(GET, base, resource_list, NULL, kind), \
    RESOURCE_ROW(GET, base key, resource_get, NULL, kind), \
    RESOURCE_ROW(update_verb, base key, resource_update, &kind##_resource.update, kind), \
    RESOURCE_ROW(DELETE, base key, resource_delete, NULL, kind)

/* For kinds with fixed permissions (is_fixed); get may name its parameter otherwise than update and delete. */
#define RESOURCE_FIXED_ROW(verb, path_, permission_, handler_, body_, kind) \
    {.method = HTTP_##verb, .path = (path_), .rule = RULE_FIXED, .permission = (permission_), \
     .handler = (handler_), .body = (body_), .data = &kind##_resource}
#define RESOURCE_FIXED_ROUTES(base, get_key, key, update_verb, permission, kind) \
    RESOURCE_FIXED_ROW(POST, base, permission ".create:all", resource_create, &kind##_resource.create, kind), \
    RESOURCE_FIXED_ROW(GET, base, permission ".read:all", resource_list, NULL, kind), \
    RESOURCE_FIXED_ROW(GET, base get_key, permission ".read:all", resource_get, NULL, kind), \
    RESOURCE_FIXED_ROW(update_verb, base key, permission ".update:all", resource_update, \
                       &kind##_resource.update, kind), \
    RESOURCE_FIXED_ROW(DELETE, base key, permission ".delete:all", resource_delete, NULL, kind)
/* clang-format on */

#endif
