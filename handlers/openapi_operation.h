/* The pieces of an OpenAPI document that come from one row of the route table (openapi_doc.c puts them
 * together). */
#ifndef HANDLERS_OPENAPI_OPERATION_H
#define HANDLERS_OPENAPI_OPERATION_H

#include "handlers/openapi_schema.h"
#include "handlers/resource.h"
#include "route.h"

/* Whether a path segment stands for a parameter. */
bool openapi_is_param(struct str segment);

/* The kind that a generated handler serves; NULL for other rows. */
const struct resource *openapi_kind_of(const struct route *row);
/* The name of the schema of its rows: the noun as one word. */
struct str openapi_row_schema(struct arena *a, const struct resource *kind);

/* The group of a path below its server. */
struct str openapi_tag(struct str path);

/* "a":…,"b":… as members of the object that is being written. */
void openapi_members_write(struct json_writer *w, const char *members);

/* "parameters":[…] of the path; nothing when it has none. */
void openapi_path_parameters_write(struct json_writer *w, const struct route *row);

/* What one object makes of an operation that the table has for all of them. */
struct openapi_case {
    struct str id, summary, description; /* description may be STR_NONE */
    struct str body;                     /* the schema, as JSON */
};

/* "post":{…}. special is NULL for the row as it is. */
void openapi_operation_write(struct json_writer *w, struct arena *a, const struct route *row,
                             const struct openapi_case *special);

#endif
