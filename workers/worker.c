#include "workers/worker.h"

#include "base/log.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { EVENT_OVERHEAD = 64, SWEEP_LEAST_MS = 10 };

struct event {
    struct list link;
    uint64_t seq;
    size_t size;
    char bytes[];
};

static struct list *worker_bucket(struct worker *w, uint64_t id)
{
    return &w->buckets[id % WORKER_BUCKETS];
}

static struct worker_call *worker_find(struct worker *w, uint64_t id)
{
    list_each (call, worker_bucket(w, id), struct worker_call, bucket) {
        if (call->id == id)
            return call;
    }
    return NULL;
}

/* ---- calls and their events ---- */

int worker_call_init(struct worker_call *call, struct worker_conn *c, uint64_t id, size_t window,
                     struct str label)
{
    struct worker *w = c->worker;

    if (worker_find(w, id) != NULL)
        return -EEXIST;
    if (w->calls_count >= WORKER_CALLS_MAX)
        return -EAGAIN;
    *call = (struct worker_call){.worker = w, .conn = c, .id = id, .window = window};
    label = str_utf8_head(label, WORKER_LABEL_MAX);
    if (label.n != 0)
        memcpy(call->label, label.p, label.n);
    call->label_size = label.n;
    list_init(&call->kept);
    list_init(&call->link);
    list_init(&call->bucket);
    list_append(&c->calls, &call->link);
    list_append(worker_bucket(w, id), &call->bucket);
    w->calls_count++;
    return 0;
}

static void worker_call_forget(struct worker_call *call, uint64_t seq)
{
    list_each (event, &call->kept, struct event, link) {
        if (event->seq > seq)
            return;
        call->kept_bytes -= event->size + EVENT_OVERHEAD;
        list_remove(&event->link);
        free(event);
    }
}

void worker_call_fini(struct worker_call *call)
{
    worker_call_forget(call, UINT64_MAX);
    list_remove(&call->link);
    list_remove(&call->bucket);
    call->worker->calls_count--;
}

struct buf *worker_event(struct worker_call *call)
{
    struct buf *out = &call->worker->scratch;

    assert(!call->is_last_sent);
    buf_consume(out, buf_size(out));
    return out;
}

void worker_event_send(struct worker_call *call, bool is_last)
{
    struct str bytes = buf_str(&call->worker->scratch);
    struct event *event = mem_alloc(sizeof(*event) + bytes.n);

    event->seq = ++call->sent;
    event->size = bytes.n;
    memcpy(event->bytes, bytes.p, bytes.n);
    list_init(&event->link);
    list_append(&call->kept, &event->link);
    call->kept_bytes += bytes.n + EVENT_OVERHEAD;
    call->is_last_sent = is_last;
    if (call->conn != NULL && wire_is_open(&call->conn->wire))
        buf_add(wire_out(&call->conn->wire), bytes);
}

/* ---- the messages about calls ---- */

static int on_ack(struct worker_conn *c, struct str payload)
{
    struct msg_call_ack m;
    struct worker_call *call;
    bool was_full;

    if (proto_get_call_ack(payload, &m) < 0)
        return -EPROTO;
    call = worker_find(c->worker, m.call_id);
    if (call == NULL || call->conn != c)
        return 0; /* it crossed with the end of the call */
    if (m.seq > call->sent)
        return -EPROTO;
    if (m.seq <= call->acked)
        return 0;
    was_full = worker_call_is_full(call);
    call->acked = m.seq;
    worker_call_forget(call, m.seq);
    if (call->is_last_sent && call->acked == call->sent)
        c->worker->ops->on_end(call);
    else if (was_full && !worker_call_is_full(call))
        c->worker->ops->on_room(call);
    return 0;
}

static int on_cancel(struct worker_conn *c, struct str payload)
{
    struct msg_call_cancel m;
    struct worker_call *call;

    if (proto_get_call_cancel(payload, &m) < 0)
        return -EPROTO;
    call = worker_find(c->worker, m.call_id);
    if (call != NULL && (call->conn == c || call->conn == NULL))
        c->worker->ops->on_end(call);
    return 0;
}

static int on_adopt(struct worker_conn *c, struct str payload)
{
    struct msg_call_adopt m;
    struct worker_call *call;
    struct buf *out;

    if (proto_get_call_adopt(payload, &m) < 0)
        return -EPROTO;
    call = worker_find(c->worker, m.call_id);
    out = wire_out(&c->wire);
    if (call == NULL || call->conn != NULL || m.seq != call->acked) {
        proto_put_call_gone(out, &(struct msg_call_gone){.call_id = m.call_id});
        return 0;
    }
    call->conn = c;
    list_move(&c->calls, &call->link);
    list_each (event, &call->kept, struct event, link)
        buf_add(out, str_of(event->bytes, event->size));
    return 0;
}

static void worker_offer(struct worker_conn *c, const struct worker_call *call)
{
    struct msg_call_kept m = {
        .call_id = call->id, .acked = call->acked, .label = str_of(call->label, call->label_size)};

    if (c->is_greeted && wire_is_open(&c->wire))
        proto_put_call_kept(wire_out(&c->wire), &m);
}

static int on_hello(struct worker_conn *c, const struct frame *f)
{
    struct msg_hello m;

    if (f->type != PROTO_hello || proto_get_hello(f->payload, &m) < 0)
        return -EPROTO;
    if (m.proto != proto_hash()) {
        log_warn("worker", "reactor %u speaks another version of the protocol", (unsigned)m.pid);
        return -EPROTO;
    }
    c->is_greeted = true;
    list_each (call, &c->worker->orphans, struct worker_call, link)
        worker_offer(c, call);
    return 0;
}

static int on_frame(struct wire *wire, const struct frame *f)
{
    struct worker_conn *c = container_of(wire, struct worker_conn, wire);

    if (!c->is_greeted)
        return on_hello(c, f);
    switch (f->type) {
    case PROTO_call_ack:
        return on_ack(c, f->payload);
    case PROTO_call_cancel:
        return on_cancel(c, f->payload);
    case PROTO_call_adopt:
        return on_adopt(c, f->payload);
    default:
        return c->worker->ops->on_frame(c, f);
    }
}

/* ---- calls without a reactor ---- */

static void worker_sweep_start(struct worker *w)
{
    double after = (double)(w->reclaim_ms > SWEEP_LEAST_MS ? w->reclaim_ms : SWEEP_LEAST_MS) / 1000;

    if (!ev_is_active(&w->sweep) && !list_is_empty(&w->orphans)) {
        ev_timer_set(&w->sweep, after, 0);
        ev_timer_start(w->loop->ev, &w->sweep);
    }
}

/* The oldest orphan is the first, so the timer's next shot is never more than twice reclaim_ms away. */
static void on_sweep(struct ev_loop *ev UNUSED, ev_timer *t, int revents UNUSED)
{
    struct worker *w = container_of(t, struct worker, sweep);
    int64_t due = loop_now_ms(w->loop) - w->reclaim_ms;

    list_each (call, &w->orphans, struct worker_call, link) {
        if (call->orphaned_ms > due)
            break;
        log_info("worker", "call %" PRIx64 " was not reclaimed", call->id);
        w->ops->on_end(call);
    }
    worker_sweep_start(w);
}

static void worker_orphan(struct worker *w, struct worker_call *call)
{
    call->conn = NULL;
    call->orphaned_ms = loop_now_ms(w->loop);
    list_move(&w->orphans, &call->link);
    list_each (c, &w->conns, struct worker_conn, link)
        worker_offer(c, call);
}

static void on_lost(struct wire *wire)
{
    struct worker_conn *c = container_of(wire, struct worker_conn, wire);
    struct worker *w = c->worker;

    log_info("worker", "reactor is lost: %s", wire->lost_why);
    list_remove(&c->link);
    w->conns_count--;
    list_each (call, &c->calls, struct worker_call, link)
        worker_orphan(w, call);
    wire_fini(wire);
    free(c);
    worker_sweep_start(w);
}

/* ---- connections ---- */

static const struct wire_ops conn_wire_ops = {
    .frame_max = proto_payload_max,
    .on_frame = on_frame,
    .on_lost = on_lost,
};

static void worker_greet(struct worker *w, int fd)
{
    struct worker_conn *c = mem_zalloc(sizeof(*c));
    struct msg_hello m = {.proto = proto_hash(), .instance = w->instance, .pid = (uint32_t)getpid()};

    c->worker = w;
    list_init(&c->calls);
    list_init(&c->link);
    list_append(&w->conns, &c->link);
    w->conns_count++;
    wire_init(&c->wire, w->loop, &conn_wire_ops);
    wire_start(&c->wire, fd);
    proto_put_hello(wire_out(&c->wire), &m);
}

static void on_acceptable(struct ev_loop *ev UNUSED, ev_io *watcher, int revents UNUSED)
{
    struct worker *w = container_of(watcher, struct worker, acceptable);
    int fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            log_error("worker", "accept: %s", strerror(errno));
        return;
    }
    if (w->conns_count >= WORKER_CONNS_MAX) {
        log_warn("worker", "more than %d reactors", WORKER_CONNS_MAX);
        (void)close(fd);
        return;
    }
    worker_greet(w, fd);
}

void worker_init(struct worker *w, struct loop *l, int listener, unsigned instance,
                 const struct worker_ops *ops)
{
    *w = (struct worker){.loop = l,
                         .ops = ops,
                         .instance = instance,
                         .listener = listener,
                         .reclaim_ms = WORKER_RECLAIM_SECONDS * 1000};
    list_init(&w->conns);
    list_init(&w->orphans);
    for (size_t i = 0; i < WORKER_BUCKETS; i++)
        list_init(&w->buckets[i]);
    buf_init(&w->scratch);
    ev_init(&w->sweep, on_sweep);
    if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0)
        log_error("worker", "listener: %s", strerror(errno));
    ev_io_init(&w->acceptable, on_acceptable, listener, EV_READ);
    ev_io_start(l->ev, &w->acceptable);
}

static void worker_end_calls(struct worker *w, struct list *calls)
{
    list_each (call, calls, struct worker_call, link)
        w->ops->on_end(call);
}

void worker_fini(struct worker *w)
{
    ev_io_stop(w->loop->ev, &w->acceptable);
    ev_timer_stop(w->loop->ev, &w->sweep);
    worker_end_calls(w, &w->orphans);
    list_each (c, &w->conns, struct worker_conn, link) {
        worker_end_calls(w, &c->calls);
        list_remove(&c->link);
        wire_fini(&c->wire);
        free(c);
    }
    buf_fini(&w->scratch);
}
