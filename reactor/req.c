#include "req.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "conn.h"

/* ---- life ---- */

struct req *req_new(struct server *s)
{
    struct req *r = mem_zalloc(sizeof(*r));
    struct uuid id = uuid_new();

    arena_init(&r->arena);
    buf_init_arena(&r->answer, &r->arena);
    buf_init_arena(&r->headers, &r->arena);
    buf_init(&r->incoming);
    list_init(&r->service);
    uuid_write(r->id, &id);
    r->server = s;
    r->content_type = STR("application/json");
    r->started_ns = clock_mono_ns();
    return r;
}

void req_free(struct req *r)
{
    if (r == NULL)
        return;
    list_remove(&r->service);
    arena_fini(&r->arena);
    if (r->accounted != 0)
        conn_pool_release(r->server->conns, r->accounted);
    buf_fini(&r->incoming);
    free(r);
}

void req_detach(struct req *r)
{
    r->is_detached = true;
}

struct background {
    struct req *r;
    void (*fn)(struct req *r, void *arg);
    void *arg;
};

static void background_run(void *arg)
{
    struct background *b = arg;
    struct req *r = b->r;

    b->fn(r, b->arg);
    sql_rollback(r); /* what it left open */
    req_free(r);
}

struct req *req_spawn(struct server *s, const char *name, void (*fn)(struct req *r, void *arg), void *arg)
{
    struct req *r = req_new(s);
    struct background *b = arena_alloc(&r->arena, sizeof(*b));

    *b = (struct background){r, fn, arg};
    r->task = task_spawn(&s->loop, name, background_run, b);
    task_describe(r->task, r->id);
    return r;
}

struct req *req_spawn_service(struct server *s, const char *name, void (*fn)(struct req *r, void *arg),
                              void *arg)
{
    struct req *r = req_spawn(s, name, fn, arg);

    list_append(&s->services, &r->service);
    return r;
}

/* ---- what was asked ---- */

/* Parameters have the order in which they stand in the route's path. */
struct str param(const struct req *r, const char *name)
{
    struct str path = str_from(r->route->path), wanted = str_from(name);
    size_t index = 0;

    while (!str_is_none(path)) {
        struct str segment = str_cut(&path, '/');

        if (segment.n <= 2 || segment.p[0] != '{' || segment.p[segment.n - 1] != '}')
            continue;
        if (str_eq(str_of(segment.p + 1, segment.n - 2), wanted))
            return r->match.params[index];
        index++;
    }
    assert(!"the route has no such parameter");
    abort();
}

struct str header(const struct req *r, const char *name)
{
    return http_field(&r->head, str_from(name));
}

int req_query_parse(struct req *r)
{
    struct str left = r->head.query, name, value;
    struct http_field *pairs = NULL;
    size_t count = 0, room = 0;
    int rc;

    while ((rc = http_query_next(&r->arena, &left, &name, &value)) > 0) {
        if (count == room) {
            room = room != 0 ? room * 2 : 8;
            pairs = arena_grow(&r->arena, pairs, count * sizeof(*pairs), room * sizeof(*pairs));
        }
        pairs[count++] = (struct http_field){name, value};
    }
    r->query_pairs = pairs;
    r->query_pairs_count = count;
    return rc;
}

struct str query(struct req *r, const char *name)
{
    for (size_t i = r->query_pairs_count; i > 0; i--) {
        if (str_eq(r->query_pairs[i - 1].name, str_from(name)))
            return r->query_pairs[i - 1].value;
    }
    return STR_NONE;
}

/* ---- answers ---- */

static void answer_begin(struct req *r, int status, struct str content_type)
{
    r->status = status;
    r->content_type = content_type;
    buf_clear(&r->answer);
}

int reply_json(struct req *r, int status, struct str json)
{
    answer_begin(r, status, STR("application/json"));
    buf_add(&r->answer, json);
    return 0;
}

int reply_empty(struct req *r, int status)
{
    answer_begin(r, status, STR_NONE);
    return 0;
}

int reply_text(struct req *r, int status, const char *content_type, struct str text)
{
    answer_begin(r, status, str_from(content_type));
    buf_add(&r->answer, text);
    return 0;
}

void reply_begin(struct req *r, struct json_writer *w)
{
    answer_begin(r, 0, STR("application/json"));
    json_write_init(w, &r->answer);
}

int reply_written(struct req *r, int status)
{
    r->status = status;
    return 0;
}

/* Values may come from users: whatever could end the line becomes a blank. */
void reply_header(struct req *r, const char *name, struct str value)
{
    buf_add(&r->headers, str_from(name));
    buf_add(&r->headers, STR(": "));
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];

        buf_add_byte(&r->headers, (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c);
    }
    buf_add(&r->headers, STR("\r\n"));
}

void reply_reset(struct req *r)
{
    answer_begin(r, 0, STR("application/json"));
    buf_clear(&r->headers);
    r->failure = STR_NONE;
}

static int fail_with(struct req *r, int status, struct str text, struct str detail_json)
{
    struct json_writer w;

    answer_begin(r, status, STR("application/json"));
    r->failure = text;
    json_write_init(&w, &r->answer);
    json_object_begin(&w);
    if (str_is_none(detail_json))
        json_field_str(&w, STR("detail"), text);
    else
        json_field_raw(&w, STR("detail"), detail_json);
    json_object_end(&w);
    return -1;
}

int fail(struct req *r, int status, const char *format, ...)
{
    struct str text;
    va_list args;

    va_start(args, format);
    text = arena_vstrf(&r->arena, format, args);
    va_end(args);
    return fail_with(r, status, text, STR_NONE);
}

int fail_json(struct req *r, int status, struct str detail_json)
{
    return fail_with(r, status, detail_json, detail_json);
}
