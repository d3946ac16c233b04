/* Roles, their members and their permissions (spec 10 §7). */
#ifndef HANDLERS_ROLE_H
#define HANDLERS_ROLE_H

#include "handlers/fields.h"

extern const struct body role_create_body, role_update_body, role_member_body, role_permission_body;
extern const struct body role_list_query, role_permission_query;

int role_create(struct req *r); /* POST /api/v1/roles */
int role_list(struct req *r);
int role_get(struct req *r); /* GET /api/v1/roles/{name} */
int role_update(struct req *r);
int role_delete(struct req *r);

int role_members(struct req *r); /* GET /api/v1/roles/{name}/members */
int role_member_add(struct req *r);
int role_member_remove(struct req *r); /* DELETE /api/v1/roles/{name}/members/{user_id} */

int role_permissions(struct req *r); /* GET /api/v1/roles/{name}/permissions */
int role_permission_set(struct req *r);
int role_permission_delete(struct req *r);

#endif
