/* The OpenAPI documents as they are served (spec 10 §16): each made once, the runtime's with what its caller
 * may use. */
#ifndef HANDLERS_OPENAPI_H
#define HANDLERS_OPENAPI_H

#include "req.h"

/* GET …/openapi.json: the document of the route's mount. */
int openapi_document(struct req *r);

/* The documents in memory: owned by struct app. */
struct openapi;
struct openapi *openapi_open(const struct route *routes, size_t count);
void openapi_close(struct openapi *o);

#endif
