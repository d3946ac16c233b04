/*
 * A grant is cut into its parts once, when its set is made; a requirement once
 * per question. Matching then walks the segments of both without memory.
 *
 *   sinas.agents/support/bot.chat:own
 *   base---------            action scope
 *                path-------
 *
 * Whoever is granted much is granted many single names: a grant that means only
 * what it says, scope apart, is found by its text, and only the others are walked.
 */
#include "handlers/perm.h"

#include "base/table.h"

enum perm_scope_kind { PERM_SCOPE_OWN, PERM_SCOPE_ALL, PERM_SCOPE_BOTH, PERM_SCOPE_OTHER };

struct parts {
    struct str text;
    struct str base; /* "sinas.agents" */
    struct str lead; /* the base without its last segment when that is "*"; STR_NONE: it was the only one */
    struct str path; /* "support/bot", STR_NONE without */
    struct str wide_path; /* the path after the path-less rule of §4.3 */
    struct str action;
    struct str scope_text;
    enum perm_scope_kind scope;
    bool is_formed;      /* has a scope and an action */
    bool is_wide;        /* §4.3 gave it another path */
    bool ends_in_star;   /* the last segment of the base is "*" */
    bool has_any_action; /* the action is "*" */
};

/* The grants of one name, whatever their scope: "sinas.agents/support/bot.chat". */
struct literal {
    struct table_node node;
    bool reaches_all; /* one of them is not only for what is owned */
};

struct perm_set {
    size_t count;
    struct parts *grants;
    const struct parts **patterns; /* those that are no literals */
    size_t patterns_count;
    struct table literals;
};

/* Kinds whose permissions may leave the path out, and what it then is (§4.3). */
static const struct {
    struct str base;
    struct str path;
} pathless[] = {
    {STR_INIT("sinas.agents"), STR_INIT("*/*")},      {STR_INIT("sinas.functions"), STR_INIT("*/*")},
    {STR_INIT("sinas.skills"), STR_INIT("*/*")},      {STR_INIT("sinas.manifests"), STR_INIT("*/*")},
    {STR_INIT("sinas.collections"), STR_INIT("*/*")}, {STR_INIT("sinas.templates"), STR_INIT("*/*")},
    {STR_INIT("sinas.components"), STR_INIT("*/*")},  {STR_INIT("sinas.queries"), STR_INIT("*/*")},
    {STR_INIT("sinas.stores"), STR_INIT("*/*")},      {STR_INIT("sinas.connectors"), STR_INIT("*/*")},
    {STR_INIT("sinas.states"), STR_INIT("*")},
};

static bool is_star(struct str s)
{
    return s.n == 1 && s.p[0] == '*';
}

static enum perm_scope_kind scope_kind(struct str s)
{
    if (str_eq(s, STR("own")))
        return PERM_SCOPE_OWN;
    if (str_eq(s, STR("all")))
        return PERM_SCOPE_ALL;
    return is_star(s) ? PERM_SCOPE_BOTH : PERM_SCOPE_OTHER;
}

static void parts_widen(struct parts *p)
{
    p->wide_path = p->path;
    if (!str_is_none(p->path) || p->has_any_action)
        return;
    for (size_t i = 0; i < nelem(pathless); i++) {
        if (str_eq(p->base, pathless[i].base)) {
            p->wide_path = pathless[i].path;
            p->is_wide = true;
            return;
        }
    }
}

static void parts_base(struct parts *p, struct str base)
{
    ssize_t dot = str_rfind_byte(base, '.');

    p->base = base;
    p->ends_in_star = is_star(str_from_offset(base, (size_t)(dot + 1)));
    p->lead = p->ends_in_star && dot >= 0 ? str_head(base, (size_t)dot) : STR_NONE;
}

static struct parts parts_of(struct str text)
{
    struct parts p = {.text = text};
    ssize_t colon = str_rfind_byte(text, ':');
    ssize_t dot, slash;
    struct str left, resource;

    if (colon < 0)
        return p;
    left = str_head(text, (size_t)colon);
    dot = str_rfind_byte(left, '.');
    if (dot < 0)
        return p;
    p.is_formed = true;
    p.scope_text = str_from_offset(text, (size_t)colon + 1);
    p.scope = scope_kind(p.scope_text);
    p.action = str_from_offset(left, (size_t)dot + 1);
    p.has_any_action = is_star(p.action);
    resource = str_head(left, (size_t)dot);
    slash = str_find_byte(resource, '/');
    parts_base(&p, slash < 0 ? resource : str_head(resource, (size_t)slash));
    p.path = slash < 0 ? STR_NONE : str_from_offset(resource, (size_t)slash + 1);
    parts_widen(&p);
    return p;
}

/* Segment by segment, each equal or the grant's is "*"; more may be left in the requirement if open. */
static bool segments_cover(struct str granted, struct str required, char separator, bool open)
{
    if (str_eq(granted, required))
        return true;
    while (!str_is_none(granted)) {
        struct str g = str_cut(&granted, separator);
        struct str r;

        if (str_is_none(required))
            return false;
        r = str_cut(&required, separator);
        if (!is_star(g) && !str_eq(g, r))
            return false;
    }
    return open || str_is_none(required);
}

/* §4.2, 5. */
static bool base_covers(const struct parts *g, const struct parts *r)
{
    if (g->ends_in_star)
        return str_is_none(g->lead) || segments_cover(g->lead, r->base, '.', true);
    return segments_cover(g->base, r->base, '.', g->has_any_action);
}

/* §4.2, 6. */
static bool path_covers(const struct parts *g, struct str granted, struct str required)
{
    if (str_is_none(granted))
        return str_is_none(required) || g->has_any_action || g->ends_in_star;
    return !str_is_none(required) && segments_cover(granted, required, '/', false);
}

/* §4.2, 2 to 6, without and then with the paths of §4.3. */
static bool parts_cover(const struct parts *g, const struct parts *r)
{
    if (!g->has_any_action && !str_eq(g->action, r->action))
        return false;
    if (g->scope == PERM_SCOPE_OTHER || (g->scope == PERM_SCOPE_OWN && r->scope != PERM_SCOPE_OWN))
        return false;
    if (!base_covers(g, r))
        return false;
    return path_covers(g, g->path, r->path) ||
           ((g->is_wide || r->is_wide) && path_covers(g, g->wide_path, r->wide_path));
}

/*
 * §4.2, 1: the same text, or the same after §4.3. It is all there is for requirements
 * that are malformed or of another scope than own and all; others go by parts_cover().
 */
static bool parts_equal(const struct parts *g, const struct parts *r)
{
    if (str_eq(g->text, r->text))
        return true;
    return (g->is_wide || r->is_wide) && g->is_formed && r->is_formed &&
           str_eq(g->scope_text, r->scope_text) && str_eq(g->action, r->action) && str_eq(g->base, r->base) &&
           str_eq(g->wide_path, r->wide_path);
}

/* ---- sets ---- */

static struct str without_scope(const struct parts *p)
{
    return str_head(p->text, p->text.n - p->scope_text.n - 1);
}

static bool is_literal(const struct parts *g)
{
    return g->is_formed && g->scope != PERM_SCOPE_OTHER && !g->is_wide &&
           str_find_byte(without_scope(g), '*') < 0;
}

static void set_add_literal(struct arena *a, struct perm_set *set, const struct parts *g)
{
    struct table_node *node = table_find(&set->literals, without_scope(g));
    struct literal *literal;

    if (node != NULL) {
        literal = container_of(node, struct literal, node);
    } else {
        literal = arena_zalloc(a, sizeof(*literal));
        table_add(&set->literals, &literal->node, without_scope(g));
    }
    literal->reaches_all |= g->scope != PERM_SCOPE_OWN;
}

static void literals_free(void *literals)
{
    table_fini(literals);
}

struct perm_set *perm_set_new(struct arena *a, const struct str *granted, size_t granted_count)
{
    struct perm_set *set = arena_zalloc(a, sizeof(*set));

    set->count = granted_count;
    set->grants = arena_alloc(a, granted_count * sizeof(*set->grants));
    set->patterns = arena_alloc(a, granted_count * sizeof(*set->patterns));
    table_init(&set->literals);
    arena_defer(a, literals_free, &set->literals);
    for (size_t i = 0; i < granted_count; i++) {
        set->grants[i] = parts_of(arena_str(a, granted[i]));
        if (is_literal(&set->grants[i]))
            set_add_literal(a, set, &set->grants[i]);
        else
            set->patterns[set->patterns_count++] = &set->grants[i];
    }
    return set;
}

static bool set_has_literal(const struct perm_set *set, const struct parts *r)
{
    const struct table_node *node = table_find(&set->literals, without_scope(r));

    return node != NULL &&
           (r->scope == PERM_SCOPE_OWN || container_of(node, struct literal, node)->reaches_all);
}

static bool set_has_equal(const struct perm_set *set, const struct parts *r)
{
    for (size_t i = 0; i < set->count; i++) {
        if (parts_equal(&set->grants[i], r))
            return true;
    }
    return false;
}

static bool set_has(const struct perm_set *set, const struct parts *r)
{
    if (set == NULL)
        return false;
    if (!r->is_formed || (r->scope != PERM_SCOPE_OWN && r->scope != PERM_SCOPE_ALL))
        return set_has_equal(set, r);
    for (size_t i = 0; i < set->patterns_count; i++) {
        if (set->patterns[i]->is_formed && parts_cover(set->patterns[i], r))
            return true;
    }
    return set_has_literal(set, r);
}

bool perm_set_has(const struct perm_set *set, struct str required)
{
    struct parts r = parts_of(required);

    return set_has(set, &r);
}

struct str perm_set_at(const struct perm_set *set, size_t i)
{
    return i < set->count ? set->grants[i].text : STR_NONE;
}

static bool scope_has(const struct perm_scope *scope, const struct parts *r)
{
    if (scope->key != NULL && !set_has(scope->key, r))
        return false;
    return set_has(scope->user, r);
}

bool perm_has(const struct perm_scope *scope, struct str required)
{
    struct parts r = parts_of(required);

    return scope_has(scope, &r);
}

bool perm_hasf(const struct perm_scope *scope, const char *format, ...)
{
    struct arena scratch;
    struct str required;
    va_list args;
    bool has;

    arena_init(&scratch);
    va_start(args, format);
    required = arena_vstrf(&scratch, format, args);
    va_end(args);
    has = perm_has(scope, required);
    arena_fini(&scratch);
    return has;
}

bool perm_covers(const struct perm_scope *scope, const struct str *requested, size_t requested_count,
                 struct buf *violations)
{
    bool covers = true;

    for (size_t i = 0; i < requested_count; i++) {
        if (perm_has(scope, requested[i]))
            continue;
        if (violations != NULL) {
            if (!covers)
                buf_add(violations, STR(", "));
            buf_add(violations, requested[i]);
        }
        covers = false;
    }
    return covers;
}

/* The target's permission with the path or without; names are data and may hold any character. */
static void target_write(struct buf *out, const struct perm_target *target, struct str action,
                         struct str scope, bool with_path)
{
    buf_add(out, STR("sinas."));
    buf_add(out, target->kind);
    if (with_path && !str_is_none(target->space)) {
        buf_add_byte(out, '/');
        buf_add(out, target->space);
    }
    if (with_path && !str_is_none(target->name)) {
        buf_add_byte(out, '/');
        buf_add(out, target->name);
    }
    buf_add_byte(out, '.');
    buf_add(out, action);
    buf_add_byte(out, ':');
    buf_add(out, scope);
}

struct str perm_text(struct arena *a, const struct perm_target *target, struct str action, struct str scope)
{
    struct buf out;

    buf_init_arena(&out, a);
    target_write(&out, target, action, scope, true);
    return buf_str(&out);
}

static enum perm_reach reach(const struct perm_scope *scope, const struct perm_target *target,
                             struct str action, bool with_path)
{
    enum perm_reach result = PERM_NONE;
    struct parts r;
    struct buf text;

    buf_init(&text);
    target_write(&text, target, action, STR("all"), with_path);
    r = parts_of(buf_str(&text));
    if (scope_has(scope, &r)) {
        result = PERM_ALL;
    } else {
        /* With a good scope the parts decide alone, so the text may go on saying "all". */
        r.scope = PERM_SCOPE_OWN;
        if (scope_has(scope, &r))
            result = PERM_OWN;
    }
    buf_fini(&text);
    return result;
}

enum perm_reach perm_reach(const struct perm_scope *scope, const struct perm_target *target,
                           struct str action)
{
    return reach(scope, target, action, true);
}

static bool is_reading(struct str action)
{
    static const struct str reading[] = {STR_INIT("read"), STR_INIT("list"), STR_INIT("render"),
                                         STR_INIT("download"), STR_INIT("execute")};

    for (size_t i = 0; i < nelem(reading); i++) {
        if (str_eq(action, reading[i]))
            return true;
    }
    return false;
}

bool perm_row(const struct perm_scope *scope, const struct perm_target *target, struct str action)
{
    switch (perm_reach(scope, target, action)) {
    case PERM_ALL:
        return true;
    case PERM_OWN:
        return target->is_owner || !target->has_owner || (target->is_visible && is_reading(action));
    case PERM_NONE:
        break;
    }
    return false;
}

bool perm_create(const struct perm_scope *scope, const struct perm_target *target)
{
    return reach(scope, target, STR("create"), false) != PERM_NONE ||
           reach(scope, target, STR("create"), true) != PERM_NONE;
}

/* The grammar of §4.1. */

/* Non-empty segments without control characters; "*" only as a whole one. */
static bool are_segments(struct str s, char separator, const char *forbidden)
{
    while (!str_is_none(s)) {
        struct str segment = str_cut(&s, separator);

        if (segment.n == 0)
            return false;
        for (size_t i = 0; i < segment.n; i++) {
            unsigned char c = (unsigned char)segment.p[i];

            if (c < 0x20 || c == 0x7f || strchr(forbidden, c) != NULL)
                return false;
            if (c == '*' && segment.n != 1)
                return false;
        }
    }
    return true;
}

bool perm_is_valid(struct str s)
{
    struct parts p = parts_of(s);

    if (!str_is_utf8(s) || str_utf8_length(s) > PERM_LENGTH_MAX)
        return false;
    if (!p.is_formed || p.scope == PERM_SCOPE_OTHER)
        return false;
    /* "sinas.*:all" has a service and an action only. */
    return are_segments(p.base, '.', " :") && are_segments(p.action, '.', " /:") &&
           (str_is_none(p.path) || are_segments(p.path, '/', ""));
}
