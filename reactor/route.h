/*
 * The route table: what the whole API is (handlers/routes.c fills it in) and
 * how a path finds its row. Literal segments win over parameters whatever the
 * order of rows (spec 10 §1.1).
 */
#ifndef REACTOR_ROUTE_H
#define REACTOR_ROUTE_H

#include "http.h"

enum { ROUTE_PARAMS_MAX = 6 };

struct req;
struct body; /* handlers/fields.h: the fields a JSON body or a query string may have */

enum route_rule {
    RULE_PUBLIC = 1, /* no credential is looked at */
    RULE_CREDENTIAL, /* any valid credential */
    RULE_FIXED,      /* one permission, checked before the body is looked at */
    RULE_PATH,       /* a permission made of path parameters: "sinas.agents/{namespace}/{name}.chat:own" */
    RULE_OBJECT      /* decided on the loaded row by the handler or the resource engine */
};

enum route_flags {
    ROUTE_BODY_AUTH = 1 << 0,   /* at most 16 KiB */
    ROUTE_BODY_LARGE = 1 << 1,  /* messages: at least 64 MiB */
    ROUTE_BODY_CONFIG = 1 << 2, /* 32 MiB */
    ROUTE_QUIET = 1 << 3,       /* not in the access log */
    ROUTE_NO_STORE = 1 << 4,    /* Cache-Control: no-store */
    ROUTE_TAIL = 1 << 5,        /* the last parameter takes all that is left, slashes included */
    ROUTE_STREAM = 1 << 6,      /* answers with SSE: HEAD gets the headers only */
    ROUTE_FRAMEABLE = 1 << 7,   /* no X-Frame-Options (components) */
    ROUTE_RAW = 1 << 8,         /* answers with something else than JSON: for the OpenAPI documents */
    ROUTE_READS_FIRST =
        1
        << 9 /* whatever it does, its handler's first statement is a read: the caller is confirmed with it */
};

struct route {
    enum http_method method;
    const char *path; /* "/chats/{id}/messages" */
    enum route_rule rule;
    const char *permission; /* FIXED, PATH */
    const char *refusal;    /* of the two: text of the 403; NULL: "Permission denied: <permission>" */
    int (*handler)(struct req *r);
    const struct body *body;  /* NULL: the body is not looked at */
    const struct body *query; /* checked before the body; NULL: the query string is not looked at */
    unsigned flags;
    const void *data;    /* for generated handlers: the resource descriptor */
    const char *summary; /* a few words for the OpenAPI documents; NULL: those of its kind, or none */
};

struct route_match {
    const struct route *route; /* NULL: no such path, or path known but not the method */
    bool path_is_known;
    unsigned methods; /* bit per enum http_method that the path has, for Allow */
    size_t params_count;
    struct str params[ROUTE_PARAMS_MAX]; /* decoded */
};

struct route_table;
/* Builds the matcher; ends the process with a message on contradictory rows. routes must live on. */
struct route_table *route_table_new(const struct route *routes, size_t count);
void route_table_free(struct route_table *t);

/* 0 and *m filled in (route may be NULL), or -EINVAL for a path that cannot be decoded (400). */
MUST_USE int route_find(const struct route_table *t, struct arena *a, enum http_method method,
                        struct str path, struct route_match *m);

#endif
