#include "workers/mime.h"
#include "workers/outbound.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/rand.h"

enum { MAIL_TIMEOUT_MS = 10000, MAIL_TLS_PORT = 465 };

struct mail_call {
    struct outbound_call base;
    CURL *easy; /* NULL once the transfer has ended */
    struct curl_slist *recipients;
    struct buf message;
    char error[CURL_ERROR_SIZE];
};

static void mail_stop(struct mail_call *m)
{
    if (m->easy == NULL)
        return;
    http_multi_remove(&m->base.outbound->multi, m->easy);
    curl_easy_cleanup(m->easy);
    m->easy = NULL;
    curl_slist_free_all(m->recipients);
    m->recipients = NULL;
    buf_clear(&m->message);
}

static void mail_end(struct outbound_call *c)
{
    struct mail_call *m = container_of(c, struct mail_call, base);

    mail_stop(m);
    worker_call_fini(&c->call);
    free(m);
}

static void mail_report(struct mail_call *m, enum proto_mail_outcome outcome, const char *reason)
{
    struct msg_mail_done done = {
        .call_id = m->base.call.id,
        .outcome = outcome,
        .reason = str_from(reason),
    };

    proto_put_mail_done(worker_event(&m->base.call), &done);
    worker_event_send(&m->base.call, true);
}

static void mail_done(struct outbound_call *c, CURLcode rc)
{
    struct mail_call *m = container_of(c, struct mail_call, base);

    mail_stop(m);
    if (rc == CURLE_OK)
        mail_report(m, PROTO_MAIL_SENT, "");
    else
        mail_report(m, PROTO_MAIL_FAILED, m->error[0] != '\0' ? m->error : curl_easy_strerror(rc));
}

/* libcurl takes the message piece by piece. */
static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
    struct buf *message = arg;
    struct str rest = buf_str(message);
    size_t n = size * count < rest.n ? size * count : rest.n;

    if (n == 0)
        return 0;
    memcpy(out, rest.p, n);
    buf_consume(message, n);
    return n;
}

static int mail_write(struct mail_call *m, struct arena *a, const struct msg_mail_send *send, struct str from)
{
    const struct mime_mail mail = {
        .from = from,
        .to = send->to,
        .subject = send->subject,
        .text = send->text,
        .html = send->html,
        .id = arena_strf(a, STR_FMT "@" STR_FMT, STR_ARG(rand_token(a)), STR_ARG(conf.smtp_domain)),
        .date_s = clock_real_us() / 1000000,
    };

    return mime_write(&m->message, &mail);
}

/* Where to, and how safely: encrypted always, except that a development server may speak to a plain one. */
static void mail_set_server(CURL *easy, struct arena *a)
{
    bool is_tls = conf.smtp_port == MAIL_TLS_PORT;

    /* The path is what we greet the server with. */
    curl_easy_setopt(easy, CURLOPT_URL,
                     arena_printf(a, "%s://" STR_FMT ":%" PRId64 "/" STR_FMT, is_tls ? "smtps" : "smtp",
                                  STR_ARG(conf.smtp_host), conf.smtp_port, STR_ARG(conf.smtp_domain)));
    curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)(conf.debug ? CURLUSESSL_TRY : CURLUSESSL_ALL));
    if (!str_is_none(conf.smtp_ca_file))
        curl_easy_setopt(easy, CURLOPT_CAINFO, arena_cstr(a, conf.smtp_ca_file));
    if (str_is_none(conf.smtp_user) || str_is_none(conf.smtp_password))
        return;
    curl_easy_setopt(easy, CURLOPT_USERNAME, arena_cstr(a, conf.smtp_user));
    curl_easy_setopt(easy, CURLOPT_PASSWORD, arena_cstr(a, conf.smtp_password));
}

/* libcurl copies all texts. */
static void mail_set_message(struct mail_call *m, struct arena *a, struct str from, struct str to)
{
    m->recipients = curl_slist_append(NULL, arena_printf(a, "<" STR_FMT ">", STR_ARG(to)));
    curl_easy_setopt(m->easy, CURLOPT_MAIL_FROM, arena_printf(a, "<" STR_FMT ">", STR_ARG(from)));
    curl_easy_setopt(m->easy, CURLOPT_MAIL_RCPT, m->recipients);
    curl_easy_setopt(m->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(m->easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(m->easy, CURLOPT_READDATA, &m->message);
}

static void mail_transfer(struct mail_call *m, struct arena *a, struct str from, struct str to)
{
    m->easy = curl_easy_init();
    if (m->easy == NULL) {
        mail_report(m, PROTO_MAIL_FAILED, "libcurl gave no handle");
        return;
    }
    mail_set_server(m->easy, a);
    mail_set_message(m, a, from, to);
    curl_easy_setopt(m->easy, CURLOPT_PRIVATE, &m->base);
    curl_easy_setopt(m->easy, CURLOPT_ERRORBUFFER, m->error);
    curl_easy_setopt(m->easy, CURLOPT_TIMEOUT_MS, (long)MAIL_TIMEOUT_MS);
    curl_easy_setopt(m->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(m->easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    http_multi_add(&m->base.outbound->multi, m->easy);
}

int outbound_mail_start(struct outbound *o, struct worker_conn *c, struct str payload)
{
    struct msg_mail_send send;
    struct mail_call *m;
    struct arena a;
    struct str from;

    if (proto_get_mail_send(payload, &send) < 0)
        return -EPROTO;
    m = mem_zalloc(sizeof(*m));
    m->base = (struct outbound_call){.outbound = o, .done = mail_done, .end = mail_end};
    if (worker_call_init(&m->base.call, c, send.call_id, send.window, STR("mail")) < 0) {
        free(m);
        return -EPROTO; /* an id that is taken, or more calls than a reactor may have */
    }
    buf_init(&m->message);
    arena_init(&a);
    from = arena_strf(&a, "login@" STR_FMT, STR_ARG(conf.smtp_domain));
    if (mail_write(m, &a, &send, from) < 0)
        mail_report(m, PROTO_MAIL_INVALID, "a header would hold a control character");
    else
        mail_transfer(m, &a, from, send.to);
    arena_fini(&a);
    return 0;
}
