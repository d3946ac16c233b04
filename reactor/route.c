#include "route.h"

#include "base/log.h"

/*
 * A trie with one level per path segment. A node's literal children are sorted
 * by name; beside them it has at most one child for any segment. The search
 * prefers literals at each level and goes back where that leads nowhere, so a
 * path may end at several nodes: the first that has the method answers, and all of them make up Allow.
 * Its depth and width are the table's, never the request's.
 */

enum { SEGMENTS_MAX = 24 }; /* of a row; a path may have more, for ROUTE_TAIL */

struct node {
    struct str name; /* of a literal segment */
    struct node *literals;
    size_t literals_count;
    struct node *any;                        /* a parameter's child */
    const struct route *rows[HTTP_METHODS];  /* that end here */
    const struct route *tails[HTTP_METHODS]; /* whose last parameter takes the rest from here on */
};

struct route_table {
    struct node root;
};

/* ---- building ---- */

static NORETURN void refuse(const struct route *row, const char *why)
{
    log_error("route", "%s %s: %s", http_method_name(row->method),
              row->path != NULL ? row->path : "(no path)", why);
    exit(EXIT_FAILURE);
}

static bool segment_is_param(struct str s)
{
    return s.n > 2 && s.p[0] == '{' && s.p[s.n - 1] == '}';
}

static struct node *node_any(struct node *n)
{
    if (n->any == NULL)
        n->any = mem_zalloc(sizeof(*n->any));
    return n->any;
}

static int node_compare(const void *a, const void *b)
{
    return str_cmp(((const struct node *)a)->name, ((const struct node *)b)->name);
}

static struct node *node_find_literal(const struct node *n, struct str name)
{
    struct node wanted = {.name = name};

    if (n->literals_count == 0)
        return NULL;
    return bsearch(&wanted, n->literals, n->literals_count, sizeof(wanted), node_compare);
}

static struct node *node_literal(struct node *n, struct str name)
{
    struct node *found = node_find_literal(n, name);

    if (found != NULL)
        return found;
    n->literals = mem_realloc(n->literals, (n->literals_count + 1) * sizeof(*n->literals));
    n->literals[n->literals_count++] = (struct node){.name = name};
    qsort(n->literals, n->literals_count, sizeof(*n->literals), node_compare);
    found = node_find_literal(n, name);
    assert(found != NULL);
    return found;
}

static void row_check(const struct route *row)
{
    if (row->path == NULL || row->path[0] != '/')
        refuse(row, "the path must begin with a slash");
    if (row->handler == NULL)
        refuse(row, "no handler");
    if (row->method >= HTTP_OTHER)
        refuse(row, "no method");
    if (row->rule < RULE_PUBLIC || row->rule > RULE_OBJECT)
        refuse(row, "no rule");
    if ((row->rule == RULE_FIXED || row->rule == RULE_PATH) && row->permission == NULL)
        refuse(row, "its rule needs a permission");
}

static void row_put(const struct route **rows, const struct route *row)
{
    if (rows[row->method] != NULL)
        refuse(row, "there is a row for this already");
    rows[row->method] = row;
}

static void row_add(struct node *root, const struct route *row)
{
    struct str rest = str_from(row->path + 1);
    struct node *n = root;
    unsigned segments = 0, params = 0;

    while (rest.n != 0) {
        struct str segment = str_cut(&rest, '/');
        bool is_param = segment_is_param(segment);

        params += is_param;
        if (segment.n == 0 || params > ROUTE_PARAMS_MAX || ++segments > SEGMENTS_MAX)
            refuse(row, "an empty segment, too many segments or too many parameters");
        if (str_is_none(rest) && (row->flags & ROUTE_TAIL)) {
            if (!is_param)
                refuse(row, "the last segment must be a parameter");
            row_put(n->tails, row);
            return;
        }
        n = is_param ? node_any(n) : node_literal(n, segment);
    }
    if (!str_is_none(rest) && n != root)
        refuse(row, "the path must not end with a slash");
    row_put(n->rows, row);
}

struct route_table *route_table_new(const struct route *routes, size_t count)
{
    struct route_table *t = mem_zalloc(sizeof(*t));

    for (size_t i = 0; i < count; i++) {
        row_check(&routes[i]);
        row_add(&t->root, &routes[i]);
    }
    return t;
}

static void node_fini(struct node *n) /* as deep as the longest row */
{
    for (size_t i = 0; i < n->literals_count; i++)
        node_fini(&n->literals[i]);
    free(n->literals);
    if (n->any != NULL)
        node_fini(n->any);
    free(n->any);
}

void route_table_free(struct route_table *t)
{
    if (t == NULL)
        return;
    node_fini(&t->root);
    free(t);
}

/* ---- searching ---- */

struct search {
    struct route_match *match;
    enum http_method method;
    struct str path; /* as sent, without the first slash */
    struct str decoded[SEGMENTS_MAX + 1];
    size_t offsets[SEGMENTS_MAX + 1]; /* of the segments, in path */
    size_t count;                     /* of segments that are kept here */
    bool has_more;                    /* segments than can be kept: only a tail fits */
    bool has_dot_segment;             /* "." or "..": never resolved, so never found */
    struct str params[ROUTE_PARAMS_MAX];
};

static bool is_dot_segment(struct str s)
{
    return str_eq(s, STR(".")) || str_eq(s, STR(".."));
}

static int path_split(struct search *s, struct arena *a)
{
    struct str rest = s->path;

    while (!str_is_none(rest)) {
        size_t offset = (size_t)(rest.p - s->path.p);
        struct str decoded;

        if (http_percent_decode(a, str_cut(&rest, '/'), false, &decoded) < 0)
            return -EINVAL;
        s->has_dot_segment |= is_dot_segment(decoded);
        if (s->count == nelem(s->decoded)) {
            s->has_more = true;
            continue;
        }
        s->offsets[s->count] = offset;
        s->decoded[s->count++] = decoded;
    }
    if (s->path.n == 0)
        s->count = 0; /* "/" is the root itself */
    return 0;
}

static unsigned methods_of(const struct route *const rows[HTTP_METHODS])
{
    unsigned methods = 0;

    for (unsigned m = 0; m < HTTP_METHODS; m++) {
        if (rows[m] != NULL)
            methods |= 1u << m;
    }
    if (rows[HTTP_GET] != NULL)
        methods |= 1u << HTTP_HEAD;
    return methods != 0 ? methods | 1u << HTTP_OPTIONS : 0;
}

/* A place where the path may end. Whether its row answers: only the first one does. */
static bool search_meet(struct search *s, const struct route *const rows[HTTP_METHODS], size_t params)
{
    struct route_match *m = s->match;
    unsigned methods = methods_of(rows);
    const struct route *row = rows[s->method];

    m->methods |= methods;
    m->path_is_known |= methods != 0;
    if (row == NULL && s->method == HTTP_HEAD)
        row = rows[HTTP_GET];
    if (row == NULL || m->route != NULL)
        return false;
    m->route = row;
    m->params_count = params;
    memcpy(m->params, s->params, params * sizeof(s->params[0]));
    return true;
}

static int search_tail(struct search *s, struct arena *a, const struct node *n, size_t at, size_t params)
{
    struct str value = str_from_offset(s->path, s->offsets[at]);

    if (!search_meet(s, n->tails, params + 1))
        return 0;
    return http_percent_decode(a, value, false, &s->match->params[params]);
}

/* The path from segment at on, below n. Recursion is bounded by the table's depth. */
static int search_node(struct search *s, struct arena *a, const struct node *n, size_t at, size_t params)
{
    bool is_at_end = at == s->count && !s->has_more;
    bool is_at_slash = at + 1 == s->count && !s->has_more && s->decoded[at].n == 0;
    const struct node *literal;
    int rc = 0;

    if (is_at_end || is_at_slash)
        (void)search_meet(s, n->rows, params);
    if (at >= s->count)
        return 0;
    literal = node_find_literal(n, s->decoded[at]);
    if (literal != NULL)
        rc = search_node(s, a, literal, at + 1, params);
    if (rc == 0 && n->any != NULL && s->decoded[at].n != 0) {
        s->params[params] = s->decoded[at];
        rc = search_node(s, a, n->any, at + 1, params + 1);
    }
    return rc == 0 ? search_tail(s, a, n, at, params) : rc;
}

int route_find(const struct route_table *t, struct arena *a, enum http_method method, struct str path,
               struct route_match *m)
{
    struct search s = {.match = m, .method = method};

    *m = (struct route_match){0};
    if (path.n == 0 || path.p[0] != '/')
        return 0;
    s.path = str_from_offset(path, 1);
    if (path_split(&s, a) < 0)
        return -EINVAL;
    return s.has_dot_segment ? 0 : search_node(&s, a, &t->root, 0, 0);
}
