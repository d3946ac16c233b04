/* URI references, resolved as RFC 3986 section 5 says. */
#include "base/json_schema_parts.h"

/* STR_NONE for what is absent. */
struct uri {
    struct str scheme, authority, path, query, fragment;
};

static bool is_scheme(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] | 0x20;

        if (!(c >= 'a' && c <= 'z') && (i == 0 || strchr("0123456789+-.", s.p[i]) == NULL || s.p[i] == '\0'))
            return false;
    }
    return s.n > 0;
}

static struct uri uri_split(struct str s)
{
    struct uri u = {STR_NONE, STR_NONE, STR_NONE, STR_NONE, STR_NONE};
    ssize_t colon;

    u.path = str_cut(&s, '#');
    u.fragment = s;
    colon = str_find_byte(u.path, ':');
    if (colon > 0 && is_scheme(str_head(u.path, (size_t)colon)))
        u.scheme = str_cut(&u.path, ':');
    s = u.path;
    u.path = str_cut(&s, '?');
    u.query = s;
    if (str_starts(u.path, STR("//"))) {
        s = str_from_offset(u.path, 2);
        for (u.authority = str_head(s, 0); u.authority.n < s.n && s.p[u.authority.n] != '/';)
            u.authority.n++;
        u.path = str_from_offset(s, u.authority.n);
    }
    return u;
}

/* Takes "." and ".." out of the path in out. */
static void dots_remove(struct buf *out, struct str path)
{
    size_t base = buf_size(out);

    while (path.n > 0) {
        size_t slash = path.p[0] == '/';
        struct str segment = str_from_offset(path, slash);
        ssize_t next = str_find_byte(segment, '/');

        segment = next >= 0 ? str_head(segment, (size_t)next) : segment;
        path = str_from_offset(path, slash + segment.n);
        if (str_eq(segment, STR("..")) || str_eq(segment, STR("."))) {
            while (segment.n == 2 && buf_size(out) > base) {
                out->end--;
                if (out->p[out->end] == '/')
                    break;
            }
            if (path.n == 0 && slash)
                buf_add_byte(out, '/');
            continue;
        }
        buf_add(out, slash ? STR("/") : STR(""));
        buf_add(out, segment);
    }
}

/* The base's path without its last segment, followed by the reference's. */
static struct str path_merge(struct arena *a, const struct uri *base, struct str path)
{
    ssize_t slash = str_rfind_byte(base->path, '/');
    struct str head = str_head(base->path, (size_t)(slash + 1));

    if (base->path.n == 0 && !str_is_none(base->authority))
        head = STR("/");
    return arena_strf(a, STR_FMT STR_FMT, STR_ARG(head), STR_ARG(path));
}

static struct str uri_join(struct arena *a, const struct uri *u)
{
    struct buf out;

    buf_init_arena(&out, a);
    if (!str_is_none(u->scheme)) {
        buf_add(&out, u->scheme);
        buf_add_byte(&out, ':');
    }
    if (!str_is_none(u->authority)) {
        buf_add(&out, STR("//"));
        buf_add(&out, u->authority);
    }
    dots_remove(&out, u->path);
    if (!str_is_none(u->query)) {
        buf_add_byte(&out, '?');
        buf_add(&out, u->query);
    }
    if (!str_is_none(u->fragment)) {
        buf_add_byte(&out, '#');
        buf_add(&out, u->fragment);
    }
    return buf_str(&out);
}

struct str schema_uri_resolve(struct arena *a, struct str base_text, struct str reference)
{
    struct uri base = uri_split(base_text), u = uri_split(reference);

    if (str_is_none(u.scheme)) {
        if (str_is_none(u.authority)) {
            if (u.path.n == 0) {
                u.path = base.path;
                u.query = str_is_none(u.query) ? base.query : u.query;
            } else if (u.path.p[0] != '/') {
                u.path = path_merge(a, &base, u.path);
            }
            u.authority = base.authority;
        }
        u.scheme = base.scheme;
    }
    return uri_join(a, &u);
}
