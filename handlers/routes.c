/* The whole API. Rows of one path stand together; what a rule means is said in route.h. */
#include "handlers/api_key.h"
#include "handlers/app.h"
#include "handlers/chat.h"
#include "handlers/docs.h"
#include "handlers/login.h"
#include "handlers/openapi.h"
#include "handlers/resource_routes.h"
#include "handlers/role.h"
#include "handlers/system.h"
#include "handlers/user.h"

#define CHAT "sinas.agents/{namespace}/{name}.chat:own"
#define AUTH_FLAGS (ROUTE_BODY_AUTH | ROUTE_NO_STORE)

/* clang-format off */
static const struct route routes[] = {
    {HTTP_GET,  "/health",       RULE_PUBLIC, .handler = system_health, .flags = ROUTE_QUIET},
    {HTTP_GET,  "/health/ready", RULE_PUBLIC, .handler = system_ready, .flags = ROUTE_QUIET},
    {HTTP_GET,  "/info",         RULE_PUBLIC, .handler = system_info},

    {HTTP_GET, "/openapi.json",                 RULE_PUBLIC, .handler = openapi_document},
    {HTTP_GET, "/api/v1/openapi.json",          RULE_PUBLIC, .handler = openapi_document},
    {HTTP_GET, "/adapters/openai/openapi.json", RULE_PUBLIC, .handler = openapi_document},
    {HTTP_GET, "/docs",                         RULE_PUBLIC, .handler = docs_swagger, .flags = ROUTE_RAW},
    {HTTP_GET, "/api/v1/docs",                  RULE_PUBLIC, .handler = docs_swagger, .flags = ROUTE_RAW},
    {HTTP_GET, "/adapters/openai/docs",         RULE_PUBLIC, .handler = docs_swagger, .flags = ROUTE_RAW},
    {HTTP_GET, "/api/v1/redoc",                 RULE_PUBLIC, .handler = docs_redoc,   .flags = ROUTE_RAW},
    {HTTP_GET, "/adapters/openai/redoc",        RULE_PUBLIC, .handler = docs_redoc,   .flags = ROUTE_RAW},
    {HTTP_GET, "/docs/assets/{file}",           RULE_PUBLIC, .handler = docs_asset,   .flags = ROUTE_RAW},

    {HTTP_POST, "/auth/login",             RULE_PUBLIC,     .handler = login_begin,    .body = &login_body,        .flags = AUTH_FLAGS},
    {HTTP_POST, "/auth/verify-otp",        RULE_PUBLIC,     .handler = login_verify,   .body = &login_verify_body, .flags = AUTH_FLAGS},
    {HTTP_POST, "/auth/refresh",           RULE_PUBLIC,     .handler = login_refresh,  .body = &login_token_body,  .flags = AUTH_FLAGS},
    {HTTP_POST, "/auth/logout",            RULE_PUBLIC,     .handler = login_logout,   .body = &login_token_body,  .flags = AUTH_FLAGS},
    {HTTP_POST, "/auth/external-auth",     RULE_PUBLIC,     .handler = login_external,                             .flags = AUTH_FLAGS},
    {HTTP_GET,  "/auth/me",                RULE_CREDENTIAL, .handler = login_me,                                   .flags = AUTH_FLAGS},
    {HTTP_POST, "/auth/check-permissions", RULE_CREDENTIAL, .handler = login_check,    .body = &login_check_body,  .flags = AUTH_FLAGS},

    {HTTP_POST,   "/api/v1/api-keys",      RULE_OBJECT, .handler = api_key_create, .body = &api_key_body, .flags = ROUTE_NO_STORE},
    {HTTP_GET,    "/api/v1/api-keys",      RULE_OBJECT, .handler = api_key_list,   .query = &api_key_query, .flags = ROUTE_NO_STORE},
    {HTTP_GET,    "/api/v1/api-keys/{id}", RULE_OBJECT, .handler = api_key_get,    .flags = ROUTE_NO_STORE},
    {HTTP_DELETE, "/api/v1/api-keys/{id}", RULE_OBJECT, .handler = api_key_delete, .flags = ROUTE_NO_STORE},

    {HTTP_GET, "/api/v1/permissions/reference",       RULE_CREDENTIAL, .handler = permission_reference},
    {HTTP_GET, "/api/v1/roles/permissions/reference", RULE_CREDENTIAL, .handler = permission_reference},
    {HTTP_GET, "/api/v1/roles/permissions/defaults",  RULE_FIXED, .permission = "sinas.roles.manage_permissions:all",
     .refusal = "Not authorized to view role permissions", .handler = permission_defaults},

    {HTTP_GET,    "/api/v1/users",      RULE_OBJECT, .handler = user_list, .query = &user_list_query},
    {HTTP_POST,   "/api/v1/users",      RULE_OBJECT, .handler = user_create, .body = &user_create_body},
    {HTTP_GET,    "/api/v1/users/{id}", RULE_OBJECT, .handler = user_get},
    {HTTP_PATCH,  "/api/v1/users/{id}", RULE_OBJECT, .handler = user_update, .body = &user_update_body},
    {HTTP_DELETE, "/api/v1/users/{id}", RULE_OBJECT, .handler = user_delete},

    {HTTP_POST,   "/api/v1/roles",                          RULE_FIXED, .permission = "sinas.roles.create:own",
     .handler = role_create, .body = &role_create_body},
    {HTTP_GET,    "/api/v1/roles",                          RULE_OBJECT, .handler = role_list, .query = &role_list_query},
    {HTTP_GET,    "/api/v1/roles/{name}",                   RULE_OBJECT, .handler = role_get},
    {HTTP_PATCH,  "/api/v1/roles/{name}",                   RULE_OBJECT, .handler = role_update, .body = &role_update_body},
    {HTTP_DELETE, "/api/v1/roles/{name}",                   RULE_OBJECT, .handler = role_delete},
    {HTTP_GET,    "/api/v1/roles/{name}/members",           RULE_OBJECT, .handler = role_members},
    {HTTP_POST,   "/api/v1/roles/{name}/members",           RULE_OBJECT, .handler = role_member_add, .body = &role_member_body},
    {HTTP_DELETE, "/api/v1/roles/{name}/members/{user_id}", RULE_OBJECT, .handler = role_member_remove},
    {HTTP_GET,    "/api/v1/roles/{name}/permissions",       RULE_OBJECT, .handler = role_permissions},
    {HTTP_POST,   "/api/v1/roles/{name}/permissions",       RULE_OBJECT, .handler = role_permission_set,
     .body = &role_permission_body},
    {HTTP_DELETE, "/api/v1/roles/{name}/permissions",       RULE_OBJECT, .handler = role_permission_delete,
     .query = &role_permission_query},

    RESOURCE_ROUTES("/api/v1/agents", "/{namespace}/{name}", PUT, agent),
    RESOURCE_ROUTES("/api/v1/skills", "/{namespace}/{name}", PUT, skill),
    RESOURCE_FIXED_ROUTES("/api/v1/llm-providers", "/{name}", "/{id}", PATCH, "sinas.llm_providers", llm_provider),

    {HTTP_GET,    "/agents/default",                 RULE_OBJECT, .handler = resource_get_exclusive, .data = &agent_resource},
    {HTTP_POST,   "/agents/{namespace}/{name}/chats",  RULE_PATH, .permission = CHAT, .handler = chat_create, .body = &chat_create_body},
    {HTTP_POST,   "/agents/{namespace}/{name}/invoke", RULE_PATH, .permission = CHAT, .handler = agent_invoke, .body = &invoke_body,
     .flags = ROUTE_BODY_LARGE},
    {HTTP_GET,    "/chats",                          RULE_OBJECT, .handler = chat_list, .query = &chat_list_query},
    {HTTP_GET,    "/chats/{id}",                     RULE_OBJECT, .handler = chat_get},
    {HTTP_PUT,    "/chats/{id}",                     RULE_OBJECT, .handler = chat_update, .body = &chat_update_body},
    {HTTP_DELETE, "/chats/{id}",                     RULE_OBJECT, .handler = chat_delete},
    {HTTP_GET,    "/chats/{id}/messages",            RULE_OBJECT, .handler = chat_messages, .query = &chat_messages_query},
    {HTTP_POST,   "/chats/{id}/messages",            RULE_OBJECT, .handler = chat_message_send, .body = &message_body,
     .flags = ROUTE_BODY_LARGE},
    {HTTP_POST,   "/chats/{id}/messages/stream",     RULE_OBJECT, .handler = chat_message_stream, .body = &message_body,
     .flags = ROUTE_BODY_LARGE | ROUTE_STREAM},
    {HTTP_GET,    "/chats/{id}/stream/{channel_id}", RULE_OBJECT, .handler = chat_stream, .query = &chat_stream_query,
     .flags = ROUTE_STREAM},
};
/* clang-format on */

const struct route *app_routes(size_t *count)
{
    *count = nelem(routes);
    return routes;
}
