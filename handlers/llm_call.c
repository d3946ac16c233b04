#include "handlers/llm_call.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/peer.h"
#include "core/task.h"
#include "workers/proto.h"

/*
 * Unlike the rest of handlers/ this file has memory of its own: calls and what
 * they have queued belong to no request. The wait ends by the engine's callbacks, which only queue.
 */

enum {
    LLM_WINDOW_BYTES = 256 << 10, /* that a worker may be ahead of the turn */
    LLM_ACK_BYTES = 32 << 10,     /* consumed before the worker hears of it */
    LLM_UNSENT_MAX = 256 << 20,   /* requests that a worker has not taken yet */
    LLM_BUCKETS = 1024
};

struct llm_worker {
    struct llm_pool *pool;
    struct peer *peer;
    struct list calls;
    unsigned calls_count;
    struct list kept; /* calls of dead reactors that somebody may adopt */
    bool is_greeted;
};

struct llm_pool {
    struct loop *loop;
    struct llm_worker *workers;
    size_t count, next;
    struct list buckets[LLM_BUCKETS]; /* calls by id */
    bool (*wanted)(void *arg, const struct llm_kept *kept);
    void *wanted_arg;
};

struct llm_orphan {
    struct list link;
    uint64_t id, acked;
};

struct llm_call {
    struct list link;   /* of its worker */
    struct list bucket; /* by id */
    struct llm_pool *pool;
    struct llm_worker *worker; /* NULL: lost or ended */
    uint64_t id, consumed;
    size_t unacked_bytes;
    int64_t deadline_ms;
    struct list queue; /* events not yet taken */
    struct task *waiter;
};

struct queued {
    struct list link;
    uint16_t type;
    size_t size;
    char payload[];
};

/* ---- calls ---- */

static struct list *bucket_of(struct llm_pool *pool, uint64_t id)
{
    return &pool->buckets[id % LLM_BUCKETS];
}

static struct llm_call *call_find(struct llm_pool *pool, uint64_t id)
{
    list_each (call, bucket_of(pool, id), struct llm_call, bucket) {
        if (call->id == id)
            return call;
    }
    return NULL;
}

static struct llm_call *call_new(struct llm_worker *w, uint64_t id, int64_t deadline_ms)
{
    struct llm_call *call = mem_zalloc(sizeof(*call));

    call->pool = w->pool;
    call->worker = w;
    call->id = id;
    call->deadline_ms = deadline_ms;
    list_init(&call->link);
    list_init(&call->bucket);
    list_init(&call->queue);
    list_append(&w->calls, &call->link);
    list_append(bucket_of(w->pool, id), &call->bucket);
    w->calls_count++;
    return call;
}

/* It is none of its worker's any more; what is queued can still be taken. */
static void call_leave(struct llm_call *call)
{
    if (call->worker == NULL)
        return;
    call->worker->calls_count--;
    call->worker = NULL;
    list_remove(&call->link);
    list_remove(&call->bucket);
}

static void call_queue(struct llm_call *call, uint16_t type, struct str payload)
{
    struct queued *q = mem_alloc(sizeof(*q) + payload.n);

    q->type = type;
    q->size = payload.n;
    if (payload.n != 0)
        memcpy(q->payload, payload.p, payload.n);
    list_init(&q->link);
    list_append(&call->queue, &q->link);
    if (call->waiter != NULL)
        task_wake(call->waiter);
}

/* The worker is gone: the call's last event is ours. */
static void call_lose(struct llm_call *call, struct str words)
{
    struct msg_llm_failed m = {.call_id = call->id, .failure = PROTO_LLM_WORKER, .message = words};
    struct buf frame;

    buf_init(&frame);
    proto_put_llm_failed(&frame, &m);
    call_queue(call, PROTO_llm_failed, str_from_offset(buf_str(&frame), FRAME_HEADER_SIZE));
    buf_fini(&frame);
    call_leave(call);
}

static void call_ack(struct llm_call *call)
{
    struct msg_call_ack m = {.call_id = call->id, .seq = call->consumed};

    call->unacked_bytes = 0;
    if (call->worker != NULL && peer_is_up(call->worker->peer))
        proto_put_call_ack(peer_out(call->worker->peer), &m);
}

static void call_cancel(struct llm_worker *w, uint64_t id)
{
    if (peer_is_up(w->peer))
        proto_put_call_cancel(peer_out(w->peer), &(struct msg_call_cancel){.call_id = id});
}

/* ---- what workers say ---- */

static int on_hello(struct llm_worker *w, struct str payload)
{
    struct msg_hello m;

    if (proto_get_hello(payload, &m) < 0)
        return -EPROTO;
    if (m.proto != proto_hash()) {
        log_warn("llm", "worker %" PRIu64 " speaks another version of the protocol", m.instance);
        return -EPROTO;
    }
    w->is_greeted = true;
    return 0;
}

static int on_kept(struct llm_worker *w, struct str payload)
{
    struct llm_pool *pool = w->pool;
    struct msg_call_kept m;
    struct llm_kept kept;
    struct llm_orphan *orphan;

    if (proto_get_call_kept(payload, &m) < 0)
        return -EPROTO;
    kept = (struct llm_kept){.call_id = m.call_id, .label = m.label, .events_acked = m.acked};
    if (pool->wanted == NULL || !pool->wanted(pool->wanted_arg, &kept)) {
        call_cancel(w, m.call_id);
        return 0;
    }
    orphan = mem_alloc(sizeof(*orphan));
    *orphan = (struct llm_orphan){.id = m.call_id, .acked = m.acked};
    list_init(&orphan->link);
    list_append(&w->kept, &orphan->link);
    return 0;
}

static int on_gone(struct llm_worker *w, struct str payload)
{
    struct msg_call_gone m;
    struct llm_call *call;

    if (proto_get_call_gone(payload, &m) < 0)
        return -EPROTO;
    call = call_find(w->pool, m.call_id);
    if (call != NULL && call->worker == w)
        call_lose(call, STR("the call was given up before it was taken over"));
    return 0;
}

/* An event; its first field is the call's id. It is decoded when it is taken. */
static int on_event(struct llm_worker *w, const struct frame *f)
{
    struct str rest = f->payload;
    struct llm_call *call;
    uint64_t id;

    if (frame_get_u64(&rest, &id) < 0)
        return -EPROTO;
    call = call_find(w->pool, id);
    if (call == NULL || call->worker != w)
        return 0; /* it crossed with our cancelling */
    call_queue(call, f->type, f->payload);
    return 0;
}

static int on_frame(void *arg, const struct frame *f)
{
    struct llm_worker *w = arg;

    if (!w->is_greeted)
        return f->type == PROTO_hello ? on_hello(w, f->payload) : -EPROTO;
    switch (f->type) {
    case PROTO_call_kept:
        return on_kept(w, f->payload);
    case PROTO_call_gone:
        return on_gone(w, f->payload);
    case PROTO_llm_delta:
    case PROTO_llm_tool_delta:
    case PROTO_llm_end:
    case PROTO_llm_failed:
        return on_event(w, f);
    default:
        return -EPROTO;
    }
}

static void orphans_forget(struct llm_worker *w)
{
    struct list *link;

    while ((link = list_take(&w->kept)) != NULL)
        free(list_entry(link, struct llm_orphan, link));
}

static void on_lost(void *arg)
{
    struct llm_worker *w = arg;

    w->is_greeted = false;
    orphans_forget(w);
    list_each (call, &w->calls, struct llm_call, link)
        call_lose(call, STR("the process that talks to the model has died"));
}

static void on_greet(void *arg UNUSED, struct buf *out)
{
    proto_put_hello(out, &(struct msg_hello){.proto = proto_hash(), .pid = (uint32_t)getpid()});
}

static const struct peer_ops peer_ops = {
    .frame_max = proto_payload_max,
    .greet = on_greet,
    .on_frame = on_frame,
    .on_lost = on_lost,
};

/* ---- the pool ---- */

struct llm_pool *llm_pool_open(struct loop *l, const char *const *socket_paths, size_t count)
{
    struct llm_pool *pool = mem_zalloc(sizeof(*pool));

    pool->loop = l;
    pool->count = count;
    pool->workers = mem_zalloc(count * sizeof(*pool->workers));
    for (size_t i = 0; i < LLM_BUCKETS; i++)
        list_init(&pool->buckets[i]);
    for (size_t i = 0; i < count; i++) {
        struct llm_worker *w = &pool->workers[i];

        w->pool = pool;
        list_init(&w->calls);
        list_init(&w->kept);
        w->peer = peer_open(l, socket_paths[i], &peer_ops, w);
    }
    return pool;
}

void llm_pool_close(struct llm_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        assert(list_is_empty(&pool->workers[i].calls));
        peer_close(pool->workers[i].peer);
        orphans_forget(&pool->workers[i]);
    }
    free(pool->workers);
    free(pool);
}

void llm_pool_on_kept(struct llm_pool *pool, bool (*wanted)(void *arg, const struct llm_kept *kept),
                      void *arg)
{
    pool->wanted = wanted;
    pool->wanted_arg = arg;
}

static bool worker_is_usable(const struct llm_worker *w)
{
    return w->is_greeted && peer_is_up(w->peer) && peer_unsent(w->peer) < LLM_UNSENT_MAX;
}

/* The least loaded; among equals each in its turn. */
static struct llm_worker *pool_pick(struct llm_pool *pool)
{
    struct llm_worker *best = NULL;

    for (size_t i = 0; i < pool->count; i++) {
        struct llm_worker *w = &pool->workers[(pool->next + i) % pool->count];

        if (worker_is_usable(w) && (best == NULL || w->calls_count < best->calls_count))
            best = w;
    }
    if (best != NULL)
        pool->next = (size_t)(best - pool->workers) + 1;
    return best;
}

/* ---- for the turn ---- */

static uint64_t call_id_new(struct llm_pool *pool)
{
    uint64_t id;

    do {
        rand_bytes(&id, sizeof(id));
        id >>= 1; /* fits a bigint */
    } while (id == 0 || call_find(pool, id) != NULL);
    return id;
}

static int64_t call_left_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - clock_mono_ns() / 1000000;

    return left > 0 ? left : 0;
}

int llm_start(struct llm_pool *pool, const struct llm_request *r, struct llm_call **call)
{
    struct msg_llm_start m = {
        .window = LLM_WINDOW_BYTES,
        .label = r->label,
        .provider_id = r->provider_id,
        .provider_type = r->provider_type,
        .endpoint = r->endpoint,
        .key_encrypted = r->key_encrypted,
        .config_json = r->config_json,
        .body_json = r->body_json,
    };
    size_t size = r->provider_id.n + r->provider_type.n + r->endpoint.n + r->key_encrypted.n +
                  r->config_json.n + r->body_json.n + r->label.n;
    struct llm_worker *w;

    if (size > PROTO_LARGE_MAX - 1024)
        return -E2BIG;
    w = pool_pick(pool);
    if (w == NULL)
        return -EAGAIN;
    m.call_id = call_id_new(pool);
    if (r->deadline_ms > 0)
        m.timeout_ms = (uint64_t)call_left_ms(r->deadline_ms) + 1; /* 0 is none */
    proto_put_llm_start(peer_out(w->peer), &m);
    *call = call_new(w, m.call_id, r->deadline_ms);
    return 0;
}

int llm_adopt(struct llm_pool *pool, uint64_t call_id, int64_t deadline_ms, struct llm_call **call)
{
    for (struct llm_worker *w = pool->workers; w < pool->workers + pool->count; w++) {
        list_each (orphan, &w->kept, struct llm_orphan, link) {
            struct msg_call_adopt m = {.call_id = call_id, .seq = orphan->acked};

            if (orphan->id != call_id)
                continue;
            if (!worker_is_usable(w))
                return -EAGAIN;
            *call = call_new(w, call_id, deadline_ms);
            (*call)->consumed = orphan->acked;
            list_remove(&orphan->link);
            free(orphan);
            proto_put_call_adopt(peer_out(w->peer), &m);
            return 0;
        }
    }
    return -ENOENT;
}

uint64_t llm_call_id(const struct llm_call *call)
{
    return call->id;
}

/* Messages as the turn sees them: texts move to the arena. One decoder per type. */

static int event_delta(struct arena *a, struct str payload, struct llm_event *event)
{
    struct msg_llm_delta m;

    if (proto_get_llm_delta(payload, &m) < 0)
        return -EPROTO;
    event->type = LLM_DELTA;
    event->text = arena_str(a, m.text);
    return 0;
}

static int event_tool_delta(struct arena *a, struct str payload, struct llm_event *event)
{
    struct msg_llm_tool_delta m;

    if (proto_get_llm_tool_delta(payload, &m) < 0)
        return -EPROTO;
    event->type = LLM_TOOL_DELTA;
    event->tool_json = arena_str(a, m.tool_json);
    return 0;
}

static int event_end(struct arena *a, struct str payload, struct llm_event *event)
{
    struct msg_llm_end m;

    if (proto_get_llm_end(payload, &m) < 0)
        return -EPROTO;
    event->type = LLM_END;
    event->finish_reason = arena_str(a, m.finish_reason);
    event->tool_calls = str_is_none(m.tool_calls) ? STR_NONE : arena_str(a, m.tool_calls);
    event->has_usage = m.has_usage != 0;
    event->prompt_tokens = (int64_t)m.prompt_tokens;
    event->completion_tokens = (int64_t)m.completion_tokens;
    event->total_tokens = (int64_t)m.total_tokens;
    return 0;
}

static const enum llm_failure failures[] = {
    [PROTO_LLM_PROVIDER] = LLM_FAIL_PROVIDER,
    [PROTO_LLM_TIMEOUT] = LLM_FAIL_TIMEOUT,
    [PROTO_LLM_CREDENTIALS] = LLM_FAIL_CREDENTIALS,
    [PROTO_LLM_WORKER] = LLM_FAIL_WORKER,
};

static int event_failed(struct arena *a, struct str payload, struct llm_event *event)
{
    struct msg_llm_failed m;

    if (proto_get_llm_failed(payload, &m) < 0 || m.failure >= nelem(failures))
        return -EPROTO;
    event->type = LLM_FAILED;
    event->failure = failures[m.failure];
    event->http_status = (int)m.http_status;
    event->message = arena_str(a, m.message);
    return 0;
}

static int event_decode(struct arena *a, const struct queued *q, struct llm_event *event)
{
    struct str payload = str_of(q->payload, q->size);

    *event = (struct llm_event){0};
    switch (q->type) {
    case PROTO_llm_delta:
        return event_delta(a, payload, event);
    case PROTO_llm_tool_delta:
        return event_tool_delta(a, payload, event);
    case PROTO_llm_end:
        return event_end(a, payload, event);
    default:
        return event_failed(a, payload, event);
    }
}

/* Takes the first event off the queue. */
static void call_take(struct llm_call *call, struct arena *a, struct llm_event *event)
{
    struct queued *q = list_entry(list_take(&call->queue), struct queued, link);

    if (event_decode(a, q, event) < 0)
        *event = (struct llm_event){.type = LLM_FAILED,
                                    .failure = LLM_FAIL_WORKER,
                                    .message = STR("the process that talks to the model sent nonsense")};
    call->consumed++;
    call->unacked_bytes += q->size;
    free(q);
    if (event->type == LLM_END || event->type == LLM_FAILED) {
        call_ack(call);
        call_leave(call);
    } else if (call->unacked_bytes >= LLM_ACK_BYTES) {
        call_ack(call);
    }
}

int llm_next_await(struct llm_call *call, struct arena *a, struct llm_event *event)
{
    if (task_is_cancelled(task_self()))
        return -ECANCELED;
    while (list_is_empty(&call->queue)) {
        int64_t left = call->deadline_ms > 0 ? call_left_ms(call->deadline_ms) : TASK_FOREVER;
        int rc;

        assert(call->worker != NULL); /* nothing follows the last event */
        call->waiter = task_self();
        rc = task_park_await("a model", left);
        call->waiter = NULL;
        if (rc == -ECANCELED || (rc < 0 && list_is_empty(&call->queue)))
            return rc;
    }
    call_take(call, a, event);
    return 0;
}

void llm_finish(struct llm_call *call)
{
    struct list *link;

    if (call->worker != NULL)
        call_cancel(call->worker, call->id);
    call_leave(call);
    while ((link = list_take(&call->queue)) != NULL)
        free(list_entry(link, struct queued, link));
    free(call);
}
