#include "workers/llm.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/child.h"
#include "workers/llm_memory.h"
#include "workers/llm_rules.h"
#include "workers/llm_stream.h"
#include "workers/llm_transfer.h"
#include "workers/worker.h"

#include <sodium.h>

enum {
    IDLE_TIMEOUT_MS = 120000, /* of silence between two pieces of a stream */
    TIMEOUT_MAX_S = 86400,
    RETRIES_MAX = 10
};

/*
 *     TRYING --first byte of the stream--> STREAMING --> ENDED
 *       ^ |                                               ^
 *       | +--may be asked again--> WAITING --deadline-----+
 *       +---------delay over----------+
 *
 * ENDED: the last event is out; the call stays until its reactor has consumed it.
 */
enum call_state { CALL_TRYING, CALL_STREAMING, CALL_WAITING, CALL_ENDED, CALL_STATES };

static const unsigned call_next[CALL_STATES] = {
    [CALL_TRYING] = 1u << CALL_TRYING | 1u << CALL_STREAMING | 1u << CALL_WAITING | 1u << CALL_ENDED,
    [CALL_STREAMING] = 1u << CALL_ENDED,
    [CALL_WAITING] = 1u << CALL_TRYING | 1u << CALL_ENDED,
};

struct call {
    struct worker_call base;
    enum call_state state;
    struct arena request; /* what was asked for; freed when the provider has it and answers */
    struct arena http_arena;
    struct llm_http http; /* of the attempt under way */
    struct llm_ask ask;
    struct str provider_id, model; /* in request */
    struct buf key;                /* plain */
    const struct llm_codec *codec;
    struct llm_sink sink;
    struct llm_stream stream;
    struct transfer *transfer; /* NULL: none under way */
    unsigned attempts, retries, retries_max;
    int64_t started_ms, deadline_ms, idle_ms, last_byte_ms, retry_at_ms; /* monotonic */
    ev_timer timer;
};

/* The process. */
static struct llm {
    struct loop loop;
    struct worker worker;
    struct transfers transfers;
    struct llm_memory memory;
} llm;

static int64_t now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

static void call_set_state(struct call *c, enum call_state next)
{
    assert((call_next[c->state] & 1u << next) != 0);
    c->state = next;
}

/* ---- timers: one per call, set to what is due next ---- */

static int64_t call_due_ms(const struct call *c)
{
    int64_t due = c->deadline_ms, other = due;

    if (c->state == CALL_STREAMING && !worker_call_is_full(&c->base))
        other = c->last_byte_ms + c->idle_ms;
    if (c->state == CALL_WAITING)
        other = c->retry_at_ms;
    return other < due ? other : due;
}

static void call_arm(struct call *c)
{
    int64_t left = call_due_ms(c) - now_ms();

    ev_timer_stop(llm.loop.ev, &c->timer);
    if (c->state == CALL_ENDED)
        return;
    ev_timer_set(&c->timer, left > 0 ? (double)left / 1000 : 0, 0);
    ev_timer_start(llm.loop.ev, &c->timer);
}

/* ---- the end ---- */

static void call_drop_request(struct call *c)
{
    arena_fini(&c->request);
    arena_fini(&c->http_arena);
    c->ask = (struct llm_ask){0};
    c->http = (struct llm_http){0};
}

static void call_ended(struct call *c)
{
    call_set_state(c, CALL_ENDED);
    ev_timer_stop(llm.loop.ev, &c->timer);
}

/* Not from inside a transfer's callback, which it would pull the transfer from under. */
static void call_fail(struct call *c, enum proto_llm_failure failure, int status, struct str words)
{
    struct arena a;
    struct msg_llm_failed m = {.call_id = c->base.id, .failure = failure, .http_status = (uint32_t)status};

    arena_init(&a);
    m.message = llm_message(&a, words, buf_str(&c->key));
    proto_put_llm_failed(worker_event(&c->base), &m);
    worker_event_send(&c->base, true);
    arena_fini(&a);
    log_warn("llm", "call %" PRIx64 " failed: HTTP %d, %u attempts, %d ms", c->base.id, status, c->attempts,
             (int)(now_ms() - c->started_ms));
    call_ended(c);
    if (c->transfer != NULL)
        transfer_abort(c->transfer);
    c->transfer = NULL;
    call_drop_request(c);
}

/* The stream is complete. 0, or -EPROTO: it is not, and has_failed. */
static int call_end(struct call *c)
{
    struct llm_result result;
    struct arena a;
    struct msg_llm_end m = {.call_id = c->base.id};
    int rc;

    arena_init(&a);
    rc = llm_stream_finish(&c->stream, &a, &result);
    if (rc == 0) {
        m.finish_reason = result.finish;
        m.tool_calls = result.tool_calls;
        m.has_usage = result.usage.is_known;
        m.prompt_tokens = (uint64_t)result.usage.prompt;
        m.completion_tokens = (uint64_t)result.usage.completion;
        m.total_tokens = (uint64_t)result.usage.total;
        proto_put_llm_end(worker_event(&c->base), &m);
        worker_event_send(&c->base, true);
        call_ended(c);
    }
    arena_fini(&a);
    return rc;
}

/* ---- the stream ---- */

static void on_text(void *arg, struct str text)
{
    struct call *c = arg;
    struct msg_llm_delta m = {.call_id = c->base.id, .text = text};

    proto_put_llm_delta(worker_event(&c->base), &m);
    worker_event_send(&c->base, false);
}

static void on_tool(void *arg, struct str tool_json)
{
    struct call *c = arg;
    struct msg_llm_tool_delta m = {.call_id = c->base.id, .tool_json = tool_json};

    proto_put_llm_tool_delta(worker_event(&c->base), &m);
    worker_event_send(&c->base, false);
}

static int on_bytes(void *arg, struct str bytes)
{
    struct call *c = arg;
    int rc;

    c->last_byte_ms = now_ms();
    if (c->state == CALL_TRYING) {
        call_set_state(c, CALL_STREAMING);
        call_arm(c);
        if (transfer_is_sent(c->transfer))
            call_drop_request(c);
    }
    rc = llm_stream_feed(&c->stream, bytes);
    if (rc > 0)
        rc = call_end(c) == 0 ? 1 : -EPROTO;
    return rc;
}

static bool is_full(void *arg)
{
    return worker_call_is_full(&((struct call *)arg)->base);
}

/* ---- attempts ---- */

static void on_done(void *arg, const struct transfer_result *result);

static const struct transfer_ops transfer_ops = {
    .on_bytes = on_bytes,
    .is_full = is_full,
    .on_done = on_done,
};

static void call_try(struct call *c)
{
    call_set_state(c, CALL_TRYING);
    c->attempts++;
    arena_fini(&c->http_arena);
    c->http = (struct llm_http){0};
    c->codec->request(&c->http_arena, &c->ask, &c->http);
    if (transfer_start(&llm.transfers, &c->http, &transfer_ops, c, &c->transfer) < 0) {
        call_fail(c, PROTO_LLM_PROVIDER, 0, STR("the provider's endpoint is no usable URL"));
        return;
    }
    call_arm(c);
}

/* Whether it will be asked again; if so, the wait has begun. */
static bool call_retry(struct call *c, const struct transfer_result *result)
{
    uint32_t random;
    int64_t at;

    if (c->retries >= c->retries_max)
        return false;
    rand_bytes(&random, sizeof(random));
    at = now_ms() + llm_retry_delay_ms(result->retry_after_ms, result->retry_after, clock_real_us() / 1000000,
                                       c->retries, random);
    if (at >= c->deadline_ms)
        return false;
    c->retries++;
    c->retry_at_ms = at;
    call_set_state(c, CALL_WAITING);
    call_arm(c);
    return true;
}

/* A 400 that names a parameter it does not know: the one extra attempt without it. */
static bool call_try_without(struct call *c, struct str body)
{
    const struct json *answer;
    struct json_error error;
    struct arena a;
    unsigned quirk = 0;

    arena_init(&a);
    if (json_parse(&a, str_trim(body), &answer, &error) == 0)
        quirk = llm_quirk_named(answer) & ~c->ask.quirks;
    arena_fini(&a);
    if (quirk == 0)
        return false;
    llm_memory_add(&llm.memory, c->provider_id, c->model, quirk);
    c->ask.quirks |= quirk;
    call_try(c);
    return true;
}

static void call_answered_badly(struct call *c, const struct transfer_result *result)
{
    struct arena a;

    if (result->status == 400 && call_try_without(c, result->body))
        return;
    if (c->codec->retries_answers && llm_status_is_retried(result->status) && call_retry(c, result))
        return;
    arena_init(&a);
    call_fail(c, PROTO_LLM_PROVIDER, result->status, llm_answer_words(&a, result->status, result->body));
    arena_fini(&a);
}

/* Failures that another attempt would meet again. */
static bool is_hopeless(CURLcode rc)
{
    return rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE ||
           rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_WEIRD_SERVER_REPLY;
}

static void call_unanswered(struct call *c, const struct transfer_result *result)
{
    struct arena a;
    struct str words;

    if (!is_hopeless(result->rc) && !result->is_too_large && call_retry(c, result))
        return;
    arena_init(&a);
    words = arena_strf(&a, "the provider cannot be reached: %s",
                       result->is_too_large ? "its answer's headers are too large"
                                            : curl_easy_strerror(result->rc));
    call_fail(c, result->rc == CURLE_OPERATION_TIMEDOUT ? PROTO_LLM_TIMEOUT : PROTO_LLM_PROVIDER, 0, words);
    arena_fini(&a);
}

/* The bytes of a good answer have ended, one way or the other. */
static void call_stream_ended(struct call *c, const struct transfer_result *result)
{
    if (result->is_encoded)
        (void)llm_stream_fail(&c->stream,
                              STR("the provider's answer is compressed, which was not asked for"));
    if (!c->stream.has_failed && result->rc != CURLE_OK && str_is_none(c->stream.finish))
        (void)llm_stream_fail(&c->stream, STR("the provider's stream broke off"));
    if (c->stream.has_failed || call_end(c) < 0)
        call_fail(c, PROTO_LLM_PROVIDER, result->status, buf_str(&c->stream.error));
}

static void on_done(void *arg, const struct transfer_result *result)
{
    struct call *c = arg;
    bool is_good = result->status >= 200 && result->status < 300;

    c->transfer = NULL;
    if (c->state == CALL_ENDED)
        return;
    if (result->has_begun || result->is_encoded || (is_good && result->rc == CURLE_OK))
        call_stream_ended(c, result);
    else if (result->status >= 300)
        call_answered_badly(c, result);
    else
        call_unanswered(c, result);
}

static void on_timer(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    struct call *c = container_of(w, struct call, timer);
    int64_t now = now_ms();

    if (call_due_ms(c) > now) {
        call_arm(c);
    } else if (now >= c->deadline_ms) {
        call_fail(c, PROTO_LLM_TIMEOUT, 0, STR("the provider did not finish in time"));
    } else if (c->state == CALL_WAITING) {
        call_try(c);
    } else {
        call_fail(c, PROTO_LLM_TIMEOUT, 0, STR("the provider fell silent"));
    }
}

/* ---- a new call ---- */

static struct str base_url(struct arena *a, struct str endpoint, const struct llm_codec *codec)
{
    struct str base = str_trim(endpoint);

    if (base.n == 0)
        base = codec->base_default;
    while (base.n > 0 && base.p[base.n - 1] == '/')
        base.n--;
    return arena_str(a, base);
}

static int64_t config_ms(const struct json *config, struct str name, int64_t otherwise_ms)
{
    double seconds;

    if (json_double(json_get(config, name), &seconds) < 0 || !(seconds > 0))
        return otherwise_ms;
    return (int64_t)((seconds < TIMEOUT_MAX_S ? seconds : TIMEOUT_MAX_S) * 1000);
}

static void call_limits(struct call *c, uint64_t timeout_ms)
{
    int64_t total = config_ms(c->ask.config, STR("timeout"), c->codec->timeout_s * 1000);
    int64_t retries;

    if (timeout_ms != 0 && timeout_ms < (uint64_t)total)
        total = (int64_t)timeout_ms;
    c->started_ms = now_ms();
    c->deadline_ms = c->started_ms + total;
    c->idle_ms = config_ms(c->ask.config, STR("idle_timeout"), IDLE_TIMEOUT_MS);
    if (json_i64(json_get(c->ask.config, STR("max_retries")), &retries) < 0 || retries < 0)
        retries = c->codec->retries;
    c->retries_max = (unsigned)(retries < RETRIES_MAX ? retries : RETRIES_MAX);
}

/* 0, or -EINVAL: there is a key that cannot be used. */
static int call_key(struct call *c, struct str token)
{
    struct str plain;
    int rc = 0;

    if (token.n == 0)
        return 0;
    rc = fernet_decrypt(&c->request, &conf.fernet, token, &plain);
    if (rc < 0 || !llm_header_is_fit(plain))
        return -EINVAL;
    buf_add(&c->key, plain);
    return 0;
}

static int call_body(struct call *c, const struct msg_llm_start *m)
{
    struct arena *a = &c->request;
    struct json_error error;

    if (json_parse(a, arena_str(a, m->body_json), &c->ask.body, &error) < 0 ||
        !json_is(json_get(c->ask.body, STR("messages")), JSON_ARRAY))
        return -EINVAL;
    if (m->config_json.n == 0 || json_parse(a, arena_str(a, m->config_json), &c->ask.config, &error) < 0)
        c->ask.config = NULL;
    c->provider_id = arena_str(a, m->provider_id);
    c->model = json_get_text(c->ask.body, STR("model"));
    return c->model.n != 0 ? 0 : -EINVAL;
}

/* From here on every way out is an event. */
static void call_begin(struct call *c, const struct msg_llm_start *m)
{
    bool is_chat = call_body(c, m) == 0;
    bool has_key = call_key(c, m->key_encrypted) == 0;

    call_limits(c, m->timeout_ms);
    c->ask.key = buf_size(&c->key) > 0 ? buf_str(&c->key) : STR_NONE;
    c->ask.base = base_url(&c->request, m->endpoint, c->codec);
    c->ask.quirks = is_chat ? llm_memory_get(&llm.memory, c->provider_id, c->model) : 0;
    if (!is_chat)
        call_fail(c, PROTO_LLM_WORKER, 0, STR("the request is no chat with a model"));
    else if (!has_key)
        call_fail(c, PROTO_LLM_CREDENTIALS, 0, STR("provider credentials unusable"));
    else
        call_try(c);
}

static struct call *call_new(const struct llm_codec *codec)
{
    struct call *c = mem_zalloc(sizeof(*c));

    c->codec = codec;
    c->sink = (struct llm_sink){.on_text = on_text, .on_tool = on_tool, .arg = c};
    arena_init(&c->request);
    arena_init(&c->http_arena);
    buf_init(&c->key);
    llm_stream_init(&c->stream, codec, &c->sink);
    ev_init(&c->timer, on_timer);
    return c;
}

static void call_free(struct call *c)
{
    ev_timer_stop(llm.loop.ev, &c->timer);
    call_drop_request(c);
    llm_stream_fini(&c->stream);
    if (buf_size(&c->key) > 0)
        sodium_memzero(c->key.p, c->key.capacity);
    buf_fini(&c->key);
    free(c);
}

/* A call that cannot even be kept. */
static void refuse(struct worker_conn *conn, uint64_t id, struct str words)
{
    struct msg_llm_failed m = {.call_id = id, .failure = PROTO_LLM_WORKER, .message = words};

    proto_put_llm_failed(wire_out(&conn->wire), &m);
}

static int on_start(struct worker_conn *conn, const struct msg_llm_start *m)
{
    const struct llm_codec *codec = llm_codec_find(m->provider_type);
    struct call *c;
    int rc;

    if (codec == NULL) {
        refuse(conn, m->call_id, STR("this type of provider is not supported"));
        return 0;
    }
    c = call_new(codec);
    rc = worker_call_init(&c->base, conn, m->call_id, m->window, m->label);
    if (rc < 0) {
        call_free(c);
        refuse(conn, m->call_id, STR("too many calls are under way"));
        return rc == -EAGAIN ? 0 : -EPROTO;
    }
    call_begin(c, m);
    return 0;
}

/* ---- for the worker ---- */

static int on_frame(struct worker_conn *conn, const struct frame *f)
{
    struct msg_llm_start m;

    if (f->type != PROTO_llm_start || proto_get_llm_start(f->payload, &m) < 0)
        return -EPROTO;
    return on_start(conn, &m);
}

static void on_room(struct worker_call *base)
{
    struct call *c = container_of(base, struct call, base);

    c->last_byte_ms = now_ms(); /* the silence was ours */
    if (c->transfer != NULL)
        transfer_resume(c->transfer);
    if (c->state != CALL_ENDED)
        call_arm(c);
}

static void on_end(struct worker_call *base)
{
    struct call *c = container_of(base, struct call, base);

    if (c->transfer != NULL && c->state == CALL_ENDED)
        transfer_release(c->transfer);
    else if (c->transfer != NULL)
        transfer_abort(c->transfer);
    worker_call_fini(base);
    call_free(c);
}

static const struct worker_ops worker_ops = {
    .on_frame = on_frame,
    .on_room = on_room,
    .on_end = on_end,
};

static void on_stop(void *arg UNUSED)
{
    loop_stop(&llm.loop);
}

int llm_main(int argc UNUSED, char **argv UNUSED)
{
    const struct child *child = child_self();

    if (child->listeners_count != 1) {
        log_error("llm", "there is no socket to listen on");
        return CHILD_EXIT_SETTINGS;
    }
    loop_init(&llm.loop);
    child_start(&llm.loop, on_stop, NULL);
    transfers_init(&llm.transfers, &llm.loop);
    worker_init(&llm.worker, &llm.loop, child->listeners[0], child->instance, &worker_ops);
    child_ready();
    loop_run(&llm.loop);
    worker_fini(&llm.worker);
    transfers_fini(&llm.transfers);
    loop_fini(&llm.loop);
    return 0;
}
