/* How the engine (resource.c) and the statements made for it (resource_sql.c) agree on parameters. */
#ifndef HANDLERS_RESOURCE_SQL_H
#define HANDLERS_RESOURCE_SQL_H

#include "handlers/resource.h"

enum { RESOURCE_COLUMNS_MAX = 62 }; /* they are bits of a bigint */

/*
 * Parameters, in this order; the key is namespace and name, or name, or id, or name and id.
 *
 *   CREATE  user, takes exclusive, written columns
 *   LIST    user, reach, namespaces and names of grants, skip, limit, namespace or null, inactive too
 *   GET     user, reach, key                 GET_EXCLUSIVE without the key
 *   UPDATE  user, reach, takes exclusive, mask of the columns that change, key, written columns
 *   DELETE  user, reach, key
 *
 * Answers: json, and is_allowed where the reach decides. LIST also gives what the row's rule needs: space,
 * name, is_mine, is_visible.
 */

/* Whether the column is a parameter of that verb (CREATE, UPDATE). */
bool resource_writes(const struct column *col, enum resource_verb verb);

/* Whether the kind's rows live in namespaces: its permissions have paths. */
bool resource_is_namespaced(const struct resource *kind);

#endif
