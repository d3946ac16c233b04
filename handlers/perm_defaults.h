/* What a new installation grants, and the list of permissions that the console offers (spec 10 §4.7, §4.8).
 */
#ifndef HANDLERS_PERM_DEFAULTS_H
#define HANDLERS_PERM_DEFAULTS_H

#include "base/base.h"

struct perm_role {
    const char *name;
    const char *description;
    const char *const *permissions; /* every value is true */
    size_t permissions_count;
};

extern const struct perm_role perm_roles[];
extern const size_t perm_roles_count;

enum { PERM_NAMESPACED = 1, PERM_ADMIN_ONLY = 2 };

struct perm_resource {
    const char *name;
    const char *description; /* for people: the console's row label */
    const char *actions;     /* separated by blanks, in the order shown */
    unsigned flags;
};

extern const struct perm_resource perm_resources[];
extern const size_t perm_resources_count;

#endif
