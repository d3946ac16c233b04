/* The whole API. Rows of one path stand together; what a rule means is said in route.h. */
#include "handlers/api_key.h"
#include "handlers/app.h"
#include "handlers/chat.h"
#include "handlers/docs.h"
#include "handlers/login.h"
#include "handlers/openapi.h"
#include "handlers/queue.h"
#include "handlers/resource_routes.h"
#include "handlers/role.h"
#include "handlers/system.h"
#include "handlers/user.h"

#define CHAT       "sinas.agents/{namespace}/{name}.chat:own"
#define AUTH_FLAGS (ROUTE_BODY_AUTH | ROUTE_NO_STORE)

/* clang-format off */
static const struct route routes[] = {
    {HTTP_GET,  "/health",       RULE_PUBLIC, .handler = system_health, .flags = ROUTE_QUIET,
     .summary = "Whether the server runs"},
    {HTTP_GET,  "/health/ready", RULE_PUBLIC, .handler = system_ready, .flags = ROUTE_QUIET,
     .summary = "Whether the database and Redis can be reached"},
    {HTTP_GET,  "/info",         RULE_PUBLIC, .handler = system_info,
     .summary = "What this installation offers"},

    {HTTP_GET, "/openapi.json",                 RULE_PUBLIC, .handler = openapi_document,
     .summary = "This document"},
    {HTTP_GET, "/api/v1/openapi.json",          RULE_PUBLIC, .handler = openapi_document,
     .summary = "This document"},
    {HTTP_GET, "/adapters/openai/openapi.json", RULE_PUBLIC, .handler = openapi_document,
     .summary = "This document"},
    {HTTP_GET, "/docs",                         RULE_PUBLIC, .handler = docs_swagger, .flags = ROUTE_RAW,
     .summary = "This API in Swagger UI"},
    {HTTP_GET, "/api/v1/docs",                  RULE_PUBLIC, .handler = docs_swagger, .flags = ROUTE_RAW,
     .summary = "This API in Swagger UI"},
    {HTTP_GET, "/adapters/openai/docs",         RULE_PUBLIC, .handler = docs_swagger, .flags = ROUTE_RAW,
     .summary = "This API in Swagger UI"},
    {HTTP_GET, "/api/v1/redoc",                 RULE_PUBLIC, .handler = docs_redoc,   .flags = ROUTE_RAW,
     .summary = "This API in Redoc"},
    {HTTP_GET, "/adapters/openai/redoc",        RULE_PUBLIC, .handler = docs_redoc,   .flags = ROUTE_RAW,
     .summary = "This API in Redoc"},
    {HTTP_GET, "/docs/assets/{file}",           RULE_PUBLIC, .handler = docs_asset,   .flags = ROUTE_RAW,
     .summary = "Files of these pages"},

    {HTTP_POST, "/auth/login",             RULE_PUBLIC,     .handler = login_begin,    .body = &login_body,        .flags = AUTH_FLAGS,
     .summary = "Mail a one-time code"},
    {HTTP_POST, "/auth/verify-otp",        RULE_PUBLIC,     .handler = login_verify,   .body = &login_verify_body, .flags = AUTH_FLAGS,
     .summary = "Sign in with the code"},
    {HTTP_POST, "/auth/refresh",           RULE_PUBLIC,     .handler = login_refresh,  .body = &login_token_body,  .flags = AUTH_FLAGS,
     .summary = "A fresh access token"},
    {HTTP_POST, "/auth/logout",            RULE_PUBLIC,     .handler = login_logout,   .body = &login_token_body,  .flags = AUTH_FLAGS,
     .summary = "Revoke a refresh token"},
    {HTTP_POST, "/auth/external-auth",     RULE_PUBLIC,     .handler = login_external,                             .flags = AUTH_FLAGS,
     .summary = "Sign in with another provider's token"},
    {HTTP_GET,  "/auth/me",                RULE_CREDENTIAL, .handler = login_me,                                   .flags = AUTH_FLAGS,
     .summary = "Who is asking"},
    {HTTP_POST, "/auth/check-permissions", RULE_CREDENTIAL, .handler = login_check,    .body = &login_check_body,  .flags = AUTH_FLAGS,
     .summary = "Which of these permissions the caller holds"},

    {HTTP_POST,   "/api/v1/api-keys",      RULE_OBJECT, .handler = api_key_create, .body = &api_key_body, .flags = ROUTE_NO_STORE,
     .summary = "Create an API key; it is shown only here"},
    {HTTP_GET,    "/api/v1/api-keys",      RULE_OBJECT, .handler = api_key_list,   .query = &api_key_query, .flags = ROUTE_NO_STORE,
     .summary = "List API keys"},
    {HTTP_GET,    "/api/v1/api-keys/{id}", RULE_OBJECT, .handler = api_key_get,    .flags = ROUTE_NO_STORE,
     .summary = "Get an API key"},
    {HTTP_DELETE, "/api/v1/api-keys/{id}", RULE_OBJECT, .handler = api_key_delete, .flags = ROUTE_NO_STORE,
     .summary = "Revoke an API key"},

    {HTTP_GET, "/api/v1/permissions/reference",       RULE_CREDENTIAL, .handler = permission_reference,
     .summary = "The permissions there are"},
    {HTTP_GET, "/api/v1/roles/permissions/reference", RULE_CREDENTIAL, .handler = permission_reference,
     .summary = "The permissions there are"},
    {HTTP_GET, "/api/v1/roles/permissions/defaults",  RULE_FIXED, .permission = "sinas.roles.manage_permissions:all",
     .refusal = "Not authorized to view role permissions", .handler = permission_defaults,
     .summary = "What the default roles are granted at first"},

    {HTTP_GET,    "/api/v1/users",      RULE_OBJECT, .handler = user_list, .query = &user_list_query,
     .summary = "List users"},
    {HTTP_POST,   "/api/v1/users",      RULE_OBJECT, .handler = user_create, .body = &user_create_body,
     .summary = "Create a user"},
    {HTTP_GET,    "/api/v1/users/{id}", RULE_OBJECT, .handler = user_get,
     .summary = "Get a user with his roles"},
    {HTTP_PATCH,  "/api/v1/users/{id}", RULE_OBJECT, .handler = user_update, .body = &user_update_body,
     .summary = "Update a user"},
    {HTTP_DELETE, "/api/v1/users/{id}", RULE_OBJECT, .handler = user_delete,
     .summary = "Delete a user"},

    {HTTP_POST,   "/api/v1/roles",                          RULE_FIXED, .permission = "sinas.roles.create:own",
     .handler = role_create, .body = &role_create_body,
     .summary = "Create a role"},
    {HTTP_GET,    "/api/v1/roles",                          RULE_OBJECT, .handler = role_list, .query = &role_list_query,
     .summary = "List roles"},
    {HTTP_GET,    "/api/v1/roles/{name}",                   RULE_OBJECT, .handler = role_get,
     .summary = "Get a role"},
    {HTTP_PATCH,  "/api/v1/roles/{name}",                   RULE_OBJECT, .handler = role_update, .body = &role_update_body,
     .summary = "Update a role"},
    {HTTP_DELETE, "/api/v1/roles/{name}",                   RULE_OBJECT, .handler = role_delete,
     .summary = "Delete a role"},
    {HTTP_GET,    "/api/v1/roles/{name}/members",           RULE_OBJECT, .handler = role_members,
     .summary = "List a role's members"},
    {HTTP_POST,   "/api/v1/roles/{name}/members",           RULE_OBJECT, .handler = role_member_add, .body = &role_member_body,
     .summary = "Add a member"},
    {HTTP_DELETE, "/api/v1/roles/{name}/members/{user_id}", RULE_OBJECT, .handler = role_member_remove,
     .summary = "Remove a member"},
    {HTTP_GET,    "/api/v1/roles/{name}/permissions",       RULE_OBJECT, .handler = role_permissions,
     .summary = "List a role's permissions"},
    {HTTP_POST,   "/api/v1/roles/{name}/permissions",       RULE_OBJECT, .handler = role_permission_set,
     .body = &role_permission_body,
     .summary = "Grant or deny a permission"},
    {HTTP_DELETE, "/api/v1/roles/{name}/permissions",       RULE_OBJECT, .handler = role_permission_delete,
     .query = &role_permission_query,
     .summary = "Remove a permission"},

    RESOURCE_ROUTES("/api/v1/agents", "/{namespace}/{name}", PUT, agent),
    RESOURCE_ROUTES("/api/v1/skills", "/{namespace}/{name}", PUT, skill),
    RESOURCE_FIXED_ROUTES("/api/v1/llm-providers", "/{name}", "/{id}", PATCH, "sinas.llm_providers", llm_provider),

    {HTTP_GET,    "/agents/default",                 RULE_OBJECT, .handler = resource_get_exclusive, .data = &agent_resource,
     .summary = "Get the default agent"},
    {HTTP_POST,   "/agents/{namespace}/{name}/chats",  RULE_PATH, .permission = CHAT, .handler = chat_create, .body = &chat_create_body,
     .flags = ROUTE_READS_FIRST,
     .summary = "Start a chat"},
    {HTTP_POST,   "/agents/{namespace}/{name}/invoke", RULE_PATH, .permission = CHAT, .handler = agent_invoke, .body = &invoke_body,
     .flags = ROUTE_BODY_LARGE | ROUTE_READS_FIRST,
     .summary = "One message, one answer"},
    {HTTP_GET,    "/chats",                          RULE_OBJECT, .handler = chat_list, .query = &chat_list_query,
     .summary = "List the caller's chats"},
    {HTTP_GET,    "/chats/{id}",                     RULE_OBJECT, .handler = chat_get,
     .summary = "Get a chat with its messages"},
    {HTTP_PUT,    "/chats/{id}",                     RULE_OBJECT, .handler = chat_update, .body = &chat_update_body,
     .summary = "Rename or archive a chat"},
    {HTTP_DELETE, "/chats/{id}",                     RULE_OBJECT, .handler = chat_delete,
     .summary = "Delete a chat"},
    {HTTP_GET,    "/chats/{id}/messages",            RULE_OBJECT, .handler = chat_messages, .query = &chat_messages_query,
     .summary = "List messages"},
    {HTTP_POST,   "/chats/{id}/messages",            RULE_OBJECT, .handler = chat_message_send, .body = &message_body,
     .flags = ROUTE_BODY_LARGE | ROUTE_READS_FIRST,
     .summary = "Send a message and wait for the answer"},
    {HTTP_POST,   "/chats/{id}/messages/stream",     RULE_OBJECT, .handler = chat_message_stream, .body = &message_body,
     .flags = ROUTE_BODY_LARGE | ROUTE_STREAM | ROUTE_READS_FIRST,
     .summary = "Send a message and stream the answer"},
    {HTTP_GET,    "/chats/{id}/stream/{channel_id}", RULE_OBJECT, .handler = chat_stream, .query = &chat_stream_query,
     .flags = ROUTE_STREAM,
     .summary = "Resume a stream"},

    {HTTP_POST,   "/api/v1/queue/jobs/{job_id}/cancel", RULE_FIXED, .permission = "sinas.system.update:all", .handler = queue_job_cancel,
     .summary = "Cancel a running agent turn"},
};
/* clang-format on */

const struct route *app_routes(size_t *count)
{
    *count = nelem(routes);
    return routes;
}
