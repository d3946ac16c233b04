/*
 * JSON Schema (2020-12, as OpenAPI 3.1 has it) of the tables of fields in
 * check.h: what the check accepts is what the documents say. Pure.
 */
#ifndef HANDLERS_OPENAPI_SCHEMA_H
#define HANDLERS_OPENAPI_SCHEMA_H

#include "handlers/check.h"

/* {"$ref": …} to a schema of the document. */
void openapi_ref_write(struct json_writer *w, const char *schema);

/*
 * The schema of one field. Objects with a shape of their own become references to it. with_default: the
 * fallback is shown.
 */
void openapi_column_write(struct json_writer *w, const struct column *col, bool with_default);

/* Whether a body takes the column from its sender, and insists on it. */
bool openapi_is_taken(const struct body *b, const struct column *col);
bool openapi_is_required(const struct body *b, const struct column *col);

/* The schema of a body as it is sent. */
void openapi_body_write(struct json_writer *w, const struct body *b);

/* The schema of the row that a kind with these columns answers with. */
void openapi_row_write(struct json_writer *w, const struct column *columns, size_t count);

/* The bodies that a document's schemas are made of: those added and all the shapes in them, each once. */
enum { OPENAPI_BODIES_MAX = 512 };
struct openapi_bodies {
    const struct body *items[OPENAPI_BODIES_MAX];
    size_t count;
};
void openapi_bodies_add(struct openapi_bodies *bodies, const struct body *b);
/* Without b itself: it is no schema of its own. */
void openapi_bodies_add_shapes(struct openapi_bodies *bodies, const struct body *b);

#endif
