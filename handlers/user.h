/* Users (spec 10 §6). */
#ifndef HANDLERS_USER_H
#define HANDLERS_USER_H

#include "handlers/fields.h"

extern const struct body user_create_body, user_update_body, user_list_query;

int user_list(struct req *r); /* GET /api/v1/users */
int user_create(struct req *r);
int user_get(struct req *r); /* GET /api/v1/users/{id} */
int user_update(struct req *r);
int user_delete(struct req *r);

/* Whether the address is SUPERADMIN_EMAIL. */
bool user_is_superadmin(struct str email);

#endif
