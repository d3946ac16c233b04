/*
 * The documentation pages (spec 10 §16): Swagger UI and Redoc on our own OpenAPI
 * documents, all from this server, so that they work offline and tell nobody.
 * The two are fetched by etc/docs-assets; where they are missing, the page says so.
 */
#ifndef HANDLERS_DOCS_H
#define HANDLERS_DOCS_H

#include "req.h"

int docs_swagger(struct req *r); /* GET …/docs */
int docs_redoc(struct req *r);   /* GET …/redoc */
int docs_asset(struct req *r);   /* GET /docs/assets/{file} */

/* The files in memory: owned by struct app. */
struct docs;
struct docs *docs_open(void);
void docs_close(struct docs *docs);

#endif
