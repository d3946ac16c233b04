#include "handlers/mail.h"

#include "base/conf.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/child.h"
#include "core/peer.h"
#include "handlers/app.h"
#include "workers/proto.h"

enum {
    MAIL_WORKERS_MAX = CHILD_WORKERS_MAX,
    MAIL_WINDOW = 4096,
    MAIL_WAIT_MS = 15000, /* for an answer: the worker itself gives up after 10 s */
    MAIL_WORKER_TRIES = 20,
    MAIL_WORKER_RETRY_MS = 100
};

/* A mail that a worker was given. Lives on the stack of the task that waits for it. */
struct mail_wait {
    struct list link;
    uint64_t id;
    struct completion done;
    struct arena *arena;
    struct str reason;
};

struct mail_worker {
    struct peer *peer;
    struct list waits;
    size_t waits_count;
};

struct mail_pool {
    struct mail_worker workers[MAIL_WORKERS_MAX];
    size_t count;
};

/* ---- the connection to a worker ---- */

static void on_greet(void *arg UNUSED, struct buf *out)
{
    const struct msg_hello hello = {
        .proto = proto_hash(),
        .instance = child_self()->instance,
        .pid = (uint32_t)getpid(),
    };

    proto_put_hello(out, &hello);
}

static void wait_finish(struct mail_worker *w, struct mail_wait *wait, int rc)
{
    list_remove(&wait->link);
    w->waits_count--;
    completion_finish(&wait->done, rc);
}

static int on_mail_done(struct mail_worker *w, struct str payload)
{
    static const int results[] = {
        [PROTO_MAIL_SENT] = 0,
        [PROTO_MAIL_INVALID] = -EINVAL,
        [PROTO_MAIL_FAILED] = -EIO,
    };
    struct msg_mail_done done;

    if (proto_get_mail_done(payload, &done) < 0 || done.outcome >= nelem(results))
        return -EPROTO;
    proto_put_call_ack(peer_out(w->peer), &(struct msg_call_ack){.call_id = done.call_id, .seq = 1});
    list_each (wait, &w->waits, struct mail_wait, link) {
        if (wait->id == done.call_id) {
            wait->reason = arena_str(wait->arena, done.reason);
            wait_finish(w, wait, results[done.outcome]);
        }
    }
    return 0;
}

/* What a reactor before us had asked for: the mail is on its way or sent, and nobody waits for the answer. */
static int on_call_kept(struct str payload)
{
    struct msg_call_kept kept;

    return proto_get_call_kept(payload, &kept);
}

static int on_hello(struct str payload)
{
    struct msg_hello hello;

    return proto_get_hello(payload, &hello) < 0 || hello.proto != proto_hash() ? -EPROTO : 0;
}

static int on_frame(void *arg, const struct frame *f)
{
    struct mail_worker *w = arg;

    switch (f->type) {
    case PROTO_hello:
        return on_hello(f->payload);
    case PROTO_mail_done:
        return on_mail_done(w, f->payload);
    case PROTO_call_kept:
        return on_call_kept(f->payload);
    default:
        return -EPROTO;
    }
}

static void on_lost(void *arg)
{
    struct mail_worker *w = arg;

    list_each (wait, &w->waits, struct mail_wait, link)
        wait_finish(w, wait, -EIO);
}

static const struct peer_ops ops = {
    .frame_max = proto_payload_max,
    .greet = on_greet,
    .on_frame = on_frame,
    .on_lost = on_lost,
};

struct mail_pool *mail_pool_open(struct loop *l)
{
    const struct child *child = child_self();
    struct mail_pool *pool = mem_zalloc(sizeof(*pool));

    for (size_t i = 0; i < child->workers_count; i++) {
        struct mail_worker *w = &pool->workers[pool->count];

        if (!str_starts(str_from(child->workers[i].title), STR("outbound-")))
            continue;
        list_init(&w->waits);
        w->peer = peer_open(l, child->workers[i].path, &ops, w);
        pool->count++;
    }
    return pool;
}

void mail_pool_close(struct mail_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        peer_close(pool->workers[i].peer);
    free(pool);
}

/* ---- sending ---- */

bool mail_is_configured(void)
{
    return !str_is_none(conf.smtp_host) && !str_is_none(conf.smtp_domain);
}

bool mail_is_development(void)
{
    return conf.debug || str_is_none(conf.domain) || str_eq(conf.domain, STR("localhost")) ||
           str_eq(conf.domain, STR("127.0.0.1"));
}

/* The least busy one that is connected, or NULL. */
static struct mail_worker *mail_worker_pick(struct mail_pool *pool)
{
    struct mail_worker *best = NULL;

    for (size_t i = 0; i < pool->count; i++) {
        struct mail_worker *w = &pool->workers[i];

        if (peer_is_up(w->peer) && (best == NULL || w->waits_count < best->waits_count))
            best = w;
    }
    return best;
}

/* A worker that died is back within moments: people who log in need not see that. */
static int mail_worker_await(struct mail_pool *pool, struct mail_worker **w)
{
    int rc = 0;

    for (int i = 0; i < MAIL_WORKER_TRIES && rc == 0; i++) {
        *w = mail_worker_pick(pool);
        if (*w != NULL)
            return 0;
        rc = task_sleep_await(MAIL_WORKER_RETRY_MS);
    }
    return rc < 0 ? rc : -ENOTCONN;
}

static void mail_put(struct mail_worker *w, struct mail_wait *wait, const struct mail *m)
{
    const struct msg_mail_send send = {
        .call_id = wait->id,
        .window = MAIL_WINDOW,
        .to = m->to,
        .subject = m->subject,
        .text = m->text,
        .html = m->html,
    };

    list_append(&w->waits, &wait->link);
    w->waits_count++;
    proto_put_mail_send(peer_out(w->peer), &send);
}

int mail_send_await(struct req *r, const struct mail *m)
{
    struct mail_wait wait = {.arena = &r->arena};
    struct mail_worker *w;
    int rc = mail_worker_await(r->server->app->mail, &w);

    if (rc < 0)
        return rc;
    rand_bytes(&wait.id, sizeof(wait.id));
    wait.id >>= 1; /* 63 bits */
    completion_init(&wait.done);
    mail_put(w, &wait, m);
    rc = completion_await(&wait.done, "mail", MAIL_WAIT_MS);
    if (!wait.done.is_done) { /* it may still be sent; its answer finds nobody */
        list_remove(&wait.link);
        w->waits_count--;
    }
    if (rc == -ETIMEDOUT)
        rc = -EIO;
    if (rc < 0 && rc != -ECANCELED)
        log_warn("mail", "not sent: " STR_FMT, STR_ARG(wait.reason));
    return rc;
}
