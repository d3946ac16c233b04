#include "workers/llm_transfer.h"

struct transfer {
    struct list link; /* of the draining ones */
    struct transfers *all;
    const struct transfer_ops *ops;
    void *arg;
    CURL *easy;
    struct curl_slist *headers;
    size_t request_size;
    struct transfer_result result;
    char retry_after[TRANSFER_HEADER_VALUE_MAX], retry_after_ms[TRANSFER_HEADER_VALUE_MAX];
    size_t header_bytes, drained_bytes;
    struct buf error_body;
    bool is_paused, is_enough;
    ev_timer drain;
};

static void transfer_free(struct transfer *t)
{
    list_remove(&t->link);
    ev_timer_stop(t->all->http.loop->ev, &t->drain);
    http_multi_remove(&t->all->http, t->easy);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    buf_fini(&t->error_body);
    free(t);
}

/* ---- what comes ---- */

static bool transfer_status_is_good(struct transfer *t)
{
    long status = 0;

    if (curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
        t->result.status = (int)status;
    return status >= 200 && status < 300;
}

/* Whatever does not count any more, within limits. */
static size_t transfer_drain_bytes(struct transfer *t, size_t n)
{
    t->drained_bytes += n;
    return t->drained_bytes <= TRANSFER_DRAIN_BYTES ? n : 0;
}

static size_t transfer_error_bytes(struct transfer *t, struct str bytes)
{
    size_t room = TRANSFER_ERROR_MAX - buf_size(&t->error_body);

    if (bytes.n > room)
        buf_add(&t->error_body, str_head(bytes, room));
    else
        buf_add(&t->error_body, bytes);
    return bytes.n > room ? transfer_drain_bytes(t, bytes.n) : bytes.n;
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct str bytes = str_of(p, size * count);
    int rc;

    if (t->is_enough)
        return transfer_drain_bytes(t, bytes.n);
    if (!transfer_status_is_good(t))
        return transfer_error_bytes(t, bytes);
    if (t->result.is_encoded)
        return 0;
    if (t->ops->is_full(t->arg)) {
        t->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    t->result.has_begun = true;
    rc = t->ops->on_bytes(t->arg, bytes);
    t->is_enough = rc > 0;
    return rc < 0 ? 0 : bytes.n;
}

static void header_keep(struct str value, char *kept, struct str *result)
{
    value = str_trim(value);
    if (value.n > TRANSFER_HEADER_VALUE_MAX)
        return;
    if (value.n != 0)
        memcpy(kept, value.p, value.n);
    *result = str_of(kept, value.n);
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct str value = str_of(p, size * count);
    struct str name = str_cut(&value, ':');

    t->header_bytes += size * count;
    if (t->header_bytes > TRANSFER_HEADERS_MAX) {
        t->result.is_too_large = true;
        return 0;
    }
    if (str_ieq(name, STR("retry-after")))
        header_keep(value, t->retry_after, &t->result.retry_after);
    else if (str_ieq(name, STR("retry-after-ms")))
        header_keep(value, t->retry_after_ms, &t->result.retry_after_ms);
    else if (str_ieq(name, STR("content-encoding")))
        t->result.is_encoded = !str_ieq(str_trim(value), STR("identity"));
    return size * count;
}

/* ---- how it ends ---- */

static void on_done(CURL *easy, CURLcode rc)
{
    struct transfer *t;

    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t) != CURLE_OK || t == NULL)
        abort(); /* no such handle is ever added */
    (void)transfer_status_is_good(t);
    t->result.rc = rc;
    t->result.body = buf_str(&t->error_body);
    if (t->ops != NULL)
        t->ops->on_done(t->arg, &t->result);
    transfer_free(t);
}

static void on_drain_timeout(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    transfer_free(container_of(w, struct transfer, drain));
}

void transfer_abort(struct transfer *t)
{
    transfer_free(t);
}

void transfer_release(struct transfer *t)
{
    if (!t->is_enough || !transfer_is_sent(t)) {
        transfer_free(t);
        return;
    }
    t->ops = NULL;
    list_append(&t->all->draining, &t->link);
    ev_timer_set(&t->drain, TRANSFER_DRAIN_MS / 1000.0, 0);
    ev_timer_start(t->all->http.loop->ev, &t->drain);
}

/* ---- how it starts ---- */

static void transfer_headers(struct transfer *t, const struct llm_http *http)
{
    struct arena a;

    arena_init(&a);
    for (size_t i = 0; i < http->headers_count; i++)
        t->headers = curl_slist_append(t->headers, arena_cstr(&a, http->headers[i]));
    t->headers = curl_slist_append(t->headers, "Expect:"); /* a large body is sent without asking first */
    arena_fini(&a);
}

static CURLcode transfer_set_url(struct transfer *t, struct str url)
{
    struct arena a;
    CURLcode rc;

    arena_init(&a);
    rc = curl_easy_setopt(t->easy, CURLOPT_URL, arena_cstr(&a, url));
    arena_fini(&a);
    return rc;
}

/* All of libcurl's settings are here. */
static CURLcode transfer_set_up(struct transfer *t, const struct llm_http *http)
{
    CURL *e = t->easy;
    CURLcode rc = transfer_set_url(t, http->url);

#define SET(option, value) rc = rc != CURLE_OK ? rc : curl_easy_setopt(e, CURLOPT_##option, value)
    SET(PROTOCOLS_STR, "http,https");
    SET(FOLLOWLOCATION, 0L);
    SET(PROXY, ""); /* and none from the environment */
    SET(NOSIGNAL, 1L);
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CONNECTTIMEOUT_MS, (long)TRANSFER_CONNECT_TIMEOUT_MS);
    SET(TCP_KEEPALIVE, 1L);
    SET(UPLOAD_BUFFERSIZE, 16384L); /* per transfer: there are thousands */
    SET(USERAGENT, "sinas");
    SET(HTTPHEADER, t->headers);
    SET(POST, 1L);
    SET(POSTFIELDS, http->body.p);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)http->body.n);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, (void *)t);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, (void *)t);
    SET(PRIVATE, (void *)t);
#undef SET
    return rc;
}

int transfer_start(struct transfers *all, const struct llm_http *http, const struct transfer_ops *ops,
                   void *arg, struct transfer **transfer)
{
    struct transfer *t = mem_zalloc(sizeof(*t));

    t->all = all;
    t->ops = ops;
    t->arg = arg;
    t->request_size = http->body.n;
    list_init(&t->link);
    buf_init(&t->error_body);
    ev_init(&t->drain, on_drain_timeout);
    t->easy = curl_easy_init();
    if (t->easy == NULL)
        abort(); /* no memory */
    transfer_headers(t, http);
    if (transfer_set_up(t, http) != CURLE_OK) {
        transfer_free(t);
        return -EINVAL;
    }
    http_multi_add(&all->http, t->easy);
    *transfer = t;
    return 0;
}

void transfer_resume(struct transfer *t)
{
    CURLcode rc;

    if (!t->is_paused)
        return;
    t->is_paused = false;
    rc = curl_easy_pause(t->easy, CURLPAUSE_CONT); /* hands on what was held back, at once */
    if (rc != CURLE_OK)
        on_done(t->easy, rc); /* libcurl does not report this one again */
}

bool transfer_is_sent(const struct transfer *t)
{
    curl_off_t sent = 0;

    return curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
           (size_t)sent >= t->request_size;
}

void transfers_init(struct transfers *all, struct loop *l)
{
    list_init(&all->draining);
    http_multi_init(&all->http, l, on_done);
}

void transfers_fini(struct transfers *all)
{
    list_each (t, &all->draining, struct transfer, link)
        transfer_free(t);
    http_multi_fini(&all->http);
}
