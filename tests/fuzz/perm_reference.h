/*
 * The matcher of spec 10 §4.2 and §4.3 written down as the text says it, slowly and
 * with copies, to compare the fast one against.
 */
#ifndef TESTS_FUZZ_PERM_REFERENCE_H
#define TESTS_FUZZ_PERM_REFERENCE_H

#include "base/buf.h"

struct reference_segments {
    struct str items[512];
    size_t count;
};

static inline void reference_split(struct reference_segments *out, struct str s, char separator)
{
    size_t start = 0;

    out->count = 0;
    for (size_t i = 0; i <= s.n && out->count < nelem(out->items); i++) {
        if (i == s.n || s.p[i] == separator) {
            out->items[out->count++] = str_of(s.p + start, i - start);
            start = i + 1;
        }
    }
}

static inline bool reference_segment(struct str p, struct str r)
{
    return str_eq(p, STR("*")) || str_eq(p, r);
}

struct reference_cut {
    struct str scope, action, base, path; /* path: STR_NONE without */
};

/* Steps 2 to 4; false: no scope or no action. */
static inline bool reference_cut(struct str s, struct reference_cut *out)
{
    ssize_t colon = str_rfind_byte(s, ':');
    ssize_t dot, slash;

    if (colon < 0)
        return false;
    out->scope = str_from_offset(s, (size_t)colon + 1);
    s = str_head(s, (size_t)colon);
    dot = str_rfind_byte(s, '.');
    if (dot < 0)
        return false;
    out->action = str_from_offset(s, (size_t)dot + 1);
    out->base = str_head(s, (size_t)dot);
    out->path = STR_NONE;
    slash = str_find_byte(out->base, '/');
    if (slash >= 0) {
        out->path = str_from_offset(out->base, (size_t)slash + 1);
        out->base = str_head(out->base, (size_t)slash);
    }
    return true;
}

/* Step 5. */
static inline bool reference_base(struct arena *a, struct reference_cut *p, struct reference_cut *r)
{
    struct reference_segments *ps = arena_alloc(a, sizeof(*ps));
    struct reference_segments *rs = arena_alloc(a, sizeof(*rs));
    size_t leading;

    reference_split(ps, p->base, '.');
    reference_split(rs, r->base, '.');
    if (str_eq(ps->items[ps->count - 1], STR("*")))
        leading = ps->count - 1;
    else if (str_eq(p->action, STR("*")) && ps->count < rs->count)
        leading = ps->count;
    else if (ps->count == rs->count)
        leading = ps->count;
    else
        return false;
    if (rs->count < leading)
        return false;
    for (size_t i = 0; i < leading; i++) {
        if (!reference_segment(ps->items[i], rs->items[i]))
            return false;
    }
    return true;
}

/* Step 6. */
static inline bool reference_path(struct arena *a, struct reference_cut *p, struct reference_cut *r)
{
    struct reference_segments *ps = arena_alloc(a, sizeof(*ps));
    struct reference_segments *rs = arena_alloc(a, sizeof(*rs));

    reference_split(ps, p->base, '.');
    if (str_is_none(p->path) && str_is_none(r->path))
        return true;
    if (str_is_none(p->path))
        return str_eq(p->action, STR("*")) || str_eq(ps->items[ps->count - 1], STR("*"));
    if (str_is_none(r->path))
        return false;
    reference_split(ps, p->path, '/');
    reference_split(rs, r->path, '/');
    if (ps->count != rs->count)
        return false;
    for (size_t i = 0; i < ps->count; i++) {
        if (!reference_segment(ps->items[i], rs->items[i]))
            return false;
    }
    return true;
}

/* §4.2. */
static inline bool reference_match(struct arena *a, struct str granted, struct str required)
{
    struct reference_cut p, r;
    bool p_is_all, r_is_own;

    if (str_eq(granted, required))
        return true;
    if (!reference_cut(granted, &p) || !reference_cut(required, &r))
        return false;
    p_is_all = str_eq(p.scope, STR("all")) || str_eq(p.scope, STR("*"));
    if (!p_is_all && !str_eq(p.scope, STR("own")))
        return false;
    r_is_own = str_eq(r.scope, STR("own"));
    if (!r_is_own && !str_eq(r.scope, STR("all")))
        return false;
    if (!p_is_all && !r_is_own)
        return false;
    if (!str_eq(p.action, STR("*")) && !str_eq(p.action, r.action))
        return false;
    return reference_base(a, &p, &r) && reference_path(a, &p, &r);
}

/* §4.3: the string with a path, or as it is. */
static inline struct str reference_rewrite(struct arena *a, struct str s)
{
    static const char *const kinds[] = {"agents",      "functions",  "skills",     "manifests",
                                        "collections", "templates",  "components", "queries",
                                        "stores",      "connectors", "states"};
    struct reference_cut c;

    if (!reference_cut(s, &c) || !str_is_none(c.path) || str_eq(c.action, STR("*")))
        return s;
    for (size_t i = 0; i < nelem(kinds); i++) {
        const char *path = strcmp(kinds[i], "states") == 0 ? "*" : "*/*";

        struct buf out;

        if (!str_eq(c.base, str_from(arena_printf(a, "sinas.%s", kinds[i]))))
            continue;
        buf_init_arena(&out, a);
        buf_addf(&out, "sinas.%s/%s", kinds[i], path);
        buf_add(&out, str_from_offset(s, c.base.n));
        return buf_str(&out);
    }
    return s;
}

static inline bool reference_has(struct arena *a, struct str granted, struct str required)
{
    return reference_match(a, granted, required) ||
           reference_match(a, reference_rewrite(a, granted), reference_rewrite(a, required));
}

#endif
