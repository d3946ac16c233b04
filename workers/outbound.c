#include "workers/outbound.h"

#include "base/conf.h"
#include "core/child.h"

static int on_frame(struct worker_conn *c, const struct frame *f)
{
    struct outbound *o = container_of(c->worker, struct outbound, worker);

    switch (f->type) {
    case PROTO_mail_send:
        return outbound_mail_start(o, c, f->payload);
    default:
        return -EPROTO;
    }
}

/* Calls of one event each are never full. */
static void on_room(struct worker_call *call UNUSED)
{
}

static void on_end(struct worker_call *call)
{
    struct outbound_call *c = container_of(call, struct outbound_call, call);

    c->end(c);
}

static const struct worker_ops ops = {
    .on_frame = on_frame,
    .on_room = on_room,
    .on_end = on_end,
};

static void on_done(CURL *easy, CURLcode rc)
{
    struct outbound_call *c;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c);
    c->done(c, rc);
}

static void on_stop(void *arg)
{
    struct outbound *o = arg;

    loop_stop(&o->loop);
}

int outbound_main(int argc UNUSED, char **argv UNUSED)
{
    const struct child *child = child_self();
    struct outbound *o = mem_zalloc(sizeof(*o));

    loop_init(&o->loop);
    child_start(&o->loop, on_stop, o);
    http_multi_init(&o->multi, &o->loop, on_done);
    worker_init(&o->worker, &o->loop, child->listeners[0], child->instance, &ops);
    o->worker.reclaim_ms = conf.reclaim_seconds * 1000;
    child_ready();
    loop_run(&o->loop);
    worker_fini(&o->worker);
    http_multi_fini(&o->multi);
    loop_fini(&o->loop);
    free(o);
    return EXIT_SUCCESS;
}
