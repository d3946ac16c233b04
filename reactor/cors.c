#include "cors.h"

static void cors_add(struct cors *c, struct str origin)
{
    while (origin.n != 0 && origin.p[origin.n - 1] == '/')
        origin.n--;
    if (origin.n == 0)
        return;
    c->allows_all |= str_eq(origin, STR("*"));
    c->origins = arena_grow(&c->arena, c->origins, c->count * sizeof(*c->origins),
                            (c->count + 1) * sizeof(*c->origins));
    c->origins[c->count++] = arena_str(&c->arena, origin);
}

void cors_init(struct cors *c, struct str list, struct str domain)
{
    *c = (struct cors){0};
    arena_init(&c->arena);
    while (!str_is_none(list))
        cors_add(c, str_trim(str_cut(&list, ',')));
    if (c->count == 0) {
        c->allows_all = true;
        return;
    }
    if (domain.n != 0)
        cors_add(c, arena_strf(&c->arena, "https://" STR_FMT ":51245", STR_ARG(domain)));
    cors_add(c, STR("http://localhost:51245"));
}

void cors_fini(struct cors *c)
{
    arena_fini(&c->arena);
}

bool cors_allows(const struct cors *c, struct str origin)
{
    if (c->allows_all)
        return true;
    if (str_eq(origin, STR("null"))) /* any page can present it: a sandboxed frame's origin */
        return false;
    for (size_t i = 0; i < c->count && origin.n != 0; i++) {
        if (str_ieq(c->origins[i], origin))
            return true;
    }
    return false;
}

void cors_headers(const struct cors *c, struct str origin, struct buf *out)
{
    if (c->allows_all) {
        buf_add(out, STR("Access-Control-Allow-Origin: *\r\n"));
    } else {
        buf_add(out, STR("Vary: Origin\r\n"));
        if (cors_allows(c, origin)) {
            buf_add(out, STR("Access-Control-Allow-Origin: "));
            buf_add(out, origin);
            buf_add(out, STR("\r\n"));
        }
    }
    buf_add(out,
            STR("Access-Control-Expose-Headers: X-Request-ID, Retry-After, X-Stream-Channel, X-Chat-ID\r\n"));
}
