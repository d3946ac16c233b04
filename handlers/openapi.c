#include "handlers/openapi.h"

#include "assets.h"
#include "base/hash.h"
#include "handlers/app.h"
#include "handlers/auth.h"
#include "handlers/openapi_doc.h"
#include "sql.h"

enum {
    AGENTS_MAX = 1000,          /* that one document lists */
    AGENTS_BATCH = 500,         /* rows at once */
    AGENTS_BYTES_MAX = 4 << 20, /* of their operations: schemas may be long */
    VERSION_DIGITS = 16
};

struct openapi {
    struct arena arena;
    struct openapi_text texts[OPENAPI_DOCS];
    struct str versions[OPENAPI_DOCS];
    const struct route *chat_row;
};

struct openapi *openapi_open(const struct route *routes, size_t count)
{
    struct openapi *o = mem_zalloc(sizeof(*o));

    arena_init(&o->arena);
    for (unsigned doc = 0; doc < OPENAPI_DOCS; doc++) {
        o->texts[doc] = openapi_write(&o->arena, doc, routes, count);
        o->versions[doc] = str_head(hash_sha256_hex(&o->arena, o->texts[doc].text), VERSION_DIGITS);
    }
    o->chat_row = openapi_chat_row(routes, count);
    return o;
}

void openapi_close(struct openapi *o)
{
    arena_fini(&o->arena);
    free(o);
}

/* ---- the caller's own ---- */

static bool has_credential(const struct req *r)
{
    return header(r, "x-api-key").n != 0 || header(r, "authorization").n != 0;
}

/* 1 when r has a caller, 0 when it has none: the document is public, so a bad credential is as good as none.
 */
static int caller_find_await(struct req *r)
{
    int rc;

    if (!has_credential(r))
        return 0;
    rc = auth_authenticate_await(r, true);
    if (rc == -ECANCELED)
        return rc;
    if (rc == 0)
        return 1;
    reply_reset(r);
    return 0;
}

struct listing {
    struct buf out;
    struct str space, name; /* of the last agent that was read */
    unsigned listed;
};

static bool listing_is_full(const struct listing *l)
{
    return l->listed == AGENTS_MAX || buf_size(&l->out) > AGENTS_BYTES_MAX;
}

static void listing_add(struct req *r, struct listing *l, const struct rows *rows, int row)
{
    const struct openapi_agent agent = {
        .space = row_str(rows, row, "namespace"),
        .name = row_str(rows, row, "name"),
        .description = row_str(rows, row, "description"),
        .input_schema = row_str(rows, row, "input_schema"),
    };

    l->space = agent.space;
    l->name = agent.name;
    if (!auth_permitsf(r, "sinas.agents/" STR_FMT "/" STR_FMT ".chat:own", STR_ARG(agent.space),
                       STR_ARG(agent.name)))
        return;
    openapi_agent_write(&r->arena, &l->out, r->server->app->openapi->chat_row, &agent);
    l->listed++;
}

/* The agents that the caller may chat with, in the order of their names. */
static int listing_fill_await(struct req *r, struct listing *l)
{
    struct rows rows;

    buf_init_arena(&l->out, &r->arena);
    l->space = l->name = STR("");
    do {
        TRY(sql_openapi_agents_await(r, &rows, l->space, l->name, AGENTS_BATCH));
        for (int i = 0; i < rows.count && !listing_is_full(l); i++)
            listing_add(r, l, &rows, i);
    } while (rows.count == AGENTS_BATCH && !listing_is_full(l));
    return 0;
}

static int reply_with_agents_await(struct req *r, const struct openapi_text *text)
{
    struct listing l = {0};
    struct buf out;

    TRY(listing_fill_await(r, &l));
    buf_init_arena(&out, &r->arena);
    buf_add(&out, str_head(text->text, text->paths_end));
    buf_add(&out, buf_str(&l.out));
    buf_add(&out, str_from_offset(text->text, text->paths_end));
    reply_header(r, "Cache-Control", STR("private, no-cache"));
    return reply_json(r, 200, buf_str(&out));
}

int openapi_document(struct req *r)
{
    const struct openapi *o = r->server->app->openapi;
    enum openapi_doc doc = openapi_doc_of(r->route);
    bool can_differ = doc == OPENAPI_RUNTIME && o->chat_row != NULL;
    int found = 0;

    if (can_differ)
        TRY(found = caller_find_await(r));
    if (can_differ)
        reply_header(r, "Vary", STR("Authorization, X-API-Key"));
    if (found == 1)
        return reply_with_agents_await(r, &o->texts[doc]);
    reply_header(r, "Cache-Control", STR("no-cache"));
    return asset_reply(r, "application/json", o->texts[doc].text, o->versions[doc]);
}
