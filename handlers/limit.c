#include "handlers/limit.h"

#include "base/clock.h"
#include "base/lru.h"
#include "handlers/app.h"

/* A key's window as this node knows it. */
struct window {
    struct lru_link link;
    int64_t count;
    int64_t ends_ns;
};

struct limits {
    struct lru windows;
};

static void window_evict(struct lru_link *item)
{
    free(container_of(item, struct window, link));
}

struct limits *limits_new(void)
{
    struct limits *l = mem_alloc(sizeof(*l));

    lru_init(&l->windows, LIMIT_KEYS_MAX, window_evict);
    return l;
}

void limits_free(struct limits *l)
{
    lru_fini(&l->windows);
    free(l);
}

/* The running window of a key, or NULL. */
static struct window *window_find(struct limits *l, const struct hash *key)
{
    struct lru_link *item = lru_find(&l->windows, key);
    struct window *w;

    if (item == NULL)
        return NULL;
    w = container_of(item, struct window, link);
    if (w->ends_ns > clock_mono_ns())
        return w;
    lru_remove(&l->windows, item);
    free(w);
    return NULL;
}

static struct window *window_of(struct limits *l, struct str key, int64_t window_s)
{
    struct hash digest = hash_sha256(key);
    struct window *w = window_find(l, &digest);

    if (w != NULL)
        return w;
    w = mem_zalloc(sizeof(*w));
    w->ends_ns = clock_mono_ns() + window_s * 1000000000;
    lru_add(&l->windows, &w->link, &digest);
    return w;
}

static int limit_refuse(struct req *r, int64_t left_s)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, left_s > 0 ? left_s : 1);

    reply_header(r, "Retry-After", str_of(text, (size_t)n));
    return fail(r, 429, "Too many requests. Please try again later.");
}

static int64_t window_left_s(const struct window *w)
{
    return (w->ends_ns - clock_mono_ns() + 999999999) / 1000000000;
}

/*
 * Counter and expiry are set in one step. The last lines repair a counter that never expires: an
 * earlier program set the two one after the other.
 */
static const char limit_script[] = "local n = redis.call('INCR', KEYS[1]) "
                                   "local left = redis.call('TTL', KEYS[1]) "
                                   "if left < 0 then "
                                   "redis.call('EXPIRE', KEYS[1], ARGV[1]) "
                                   "left = tonumber(ARGV[1]) "
                                   "end "
                                   "return {n, left}";

/* Counts in Redis. Negative when Redis cannot say. */
static int limit_count_await(struct req *r, const struct limit *limit, int64_t *count, int64_t *left_s)
{
    struct redis_value answer;
    const struct str argv[] = {
        STR("EVAL"),
        str_of(limit_script, sizeof(limit_script) - 1),
        STR("1"),
        arena_strf(&r->arena, "sinas:ratelimit:" STR_FMT, STR_ARG(limit->key)),
        arena_strf(&r->arena, "%" PRId64, limit->window_s),
    };

    TRY(redis_await(r->server->redis, &r->arena, &answer, nelem(argv), argv));
    if (answer.type != REDIS_ARRAY || answer.count != 2 || answer.items[0].type != REDIS_INTEGER ||
        answer.items[1].type != REDIS_INTEGER)
        return -EIO;
    *count = answer.items[0].integer;
    *left_s = answer.items[1].integer;
    return 0;
}

int limit_hit_await(struct req *r, const struct limit *limit)
{
    struct limits *l = r->server->app->limits;
    int64_t count, left_s;
    struct window *w;
    int rc = limit_count_await(r, limit, &count, &left_s);

    if (rc == -ECANCELED)
        return rc;
    if (rc < 0) {
        w = window_of(l, limit->key, limit->window_s);
        count = ++w->count;
        left_s = window_left_s(w);
    }
    if (count <= limit->max)
        return 0;
    window_of(l, limit->key, left_s)->count = count;
    return limit_refuse(r, left_s);
}

int limit_check(struct req *r, const struct limit *limit)
{
    struct hash digest = hash_sha256(limit->key);
    struct window *w = window_find(r->server->app->limits, &digest);

    if (w == NULL || w->count <= limit->max)
        return 0;
    return limit_refuse(r, window_left_s(w));
}
