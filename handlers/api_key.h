/* API keys (spec 10 §3) and the permissions one can give them (§4.7, §4.8). */
#ifndef HANDLERS_API_KEY_H
#define HANDLERS_API_KEY_H

#include "handlers/fields.h"

extern const struct body api_key_body, api_key_query;

int api_key_create(struct req *r); /* POST /api/v1/api-keys */
int api_key_list(struct req *r);
int api_key_get(struct req *r); /* GET /api/v1/api-keys/{id} */
int api_key_delete(struct req *r);

int permission_reference(struct req *r); /* GET /api/v1/permissions/reference */
int permission_defaults(struct req *r);  /* GET /api/v1/roles/permissions/defaults */

#endif
