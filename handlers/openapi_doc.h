/*
 * The OpenAPI 3.1 documents (spec 10 §16), generated from the route table and
 * its tables of fields, so that they cannot drift from what the server does. Pure.
 *
 * A path is listed relative to its document's server, once, whatever the number of rows
 * that differ in method or in the names of parameters only.
 */
#ifndef HANDLERS_OPENAPI_DOC_H
#define HANDLERS_OPENAPI_DOC_H

#include "route.h"

struct buf;

enum openapi_doc { OPENAPI_RUNTIME, OPENAPI_MANAGEMENT, OPENAPI_ADAPTER, OPENAPI_DOCS };

/* The document that a row belongs to, by its mount. */
enum openapi_doc openapi_doc_of(const struct route *row);
const char *openapi_title(enum openapi_doc doc);
const char *openapi_mount(enum openapi_doc doc); /* "", "/api/v1", "/adapters/openai" */

struct openapi_text {
    struct str text;
    size_t paths_end; /* where further paths can be put in, each with a comma in front */
};

/* Lives in the arena. */
struct openapi_text openapi_write(struct arena *a, enum openapi_doc doc, const struct route *routes,
                                  size_t count);

/* Unique in its document, and the same as long as method and path are. */
struct str openapi_operation_id(struct arena *a, const struct route *row);

/* ---- what only some callers see ---- */

struct openapi_agent {
    struct str space, name, description, input_schema;
};

/* The row that starts chats, which an agent's path is a case of; NULL when the table has none. */
const struct route *openapi_chat_row(const struct route *routes, size_t count);
/* ,"/agents/<space>/<name>/chats":{…}: the row's operation with the input that this agent takes. */
void openapi_agent_write(struct arena *a, struct buf *out, const struct route *row,
                         const struct openapi_agent *agent);

#endif
