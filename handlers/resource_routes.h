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
    {.method = HTTP_GET, .path = (base), .rule = RULE_OBJECT, .handler = resource_list, \
     .query = &kind##_resource.list, .data = &kind##_resource}, \
    RESOURCE_ROW(GET, base key, resource_get, NULL, kind), \
    RESOURCE_ROW(update_verb, base key, resource_update, &kind##_resource.update, kind), \
    RESOURCE_ROW(DELETE, base key, resource_delete, NULL, kind)

/* For kinds with fixed permissions (is_fixed); get may name its parameter otherwise than update and delete. */
#define RESOURCE_FIXED_ROW(verb, path_, permission_, handler_, body_, kind) \
    {.method = HTTP_##verb, .path = (path_), .rule = RULE_FIXED, .permission = (permission_), \
     .handler = (handler_), .body = (body_), .data = &kind##_resource}
#define RESOURCE_FIXED_ROUTES(base, get_key, key, update_verb, permission_, kind) \
    RESOURCE_FIXED_ROW(POST, base, permission_ ".create:all", resource_create, &kind##_resource.create, kind), \
    {.method = HTTP_GET, .path = (base), .rule = RULE_FIXED, .permission = permission_ ".read:all", \
     .handler = resource_list, .query = &kind##_resource.list, .data = &kind##_resource}, \
    RESOURCE_FIXED_ROW(GET, base get_key, permission_ ".read:all", resource_get, NULL, kind), \
    RESOURCE_FIXED_ROW(update_verb, base key, permission_ ".update:all", resource_update, \
                       &kind##_resource.update, kind), \
    RESOURCE_FIXED_ROW(DELETE, base key, permission_ ".delete:all", resource_delete, NULL, kind)
/* clang-format on */

#endif
