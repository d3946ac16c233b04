/*
 * One mail. libcurl connects, encrypts, greets and signs in; the mail itself is
 * spoken here, because libcurl (7.88) blocks while it waits for the server to
 * take a message and to say goodbye, and one slow mail server would hold up all other mails.
 *
 *   CONNECTING --libcurl done--> MAIL -250-> RCPT -250-> DATA -354-> MESSAGE -250-> reported
 *
 * Everything else ends in a report of the failure. The call itself lives on until its report was
 * acknowledged.
 */
#include "workers/mime.h"
#include "workers/outbound.h"
#include "workers/smtp.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/rand.h"

#include <sys/socket.h>

enum { MAIL_TIMEOUT_S = 10, MAIL_TLS_PORT = 465, MAIL_READ_BYTES = 1024, MAIL_REASON_MAX = 300 };

enum mail_step { MAIL_CONNECTING, MAIL_FROM, MAIL_RECIPIENT, MAIL_DATA, MAIL_MESSAGE };

struct mail_call {
    struct outbound_call base;
    CURL *easy; /* NULL before it connects and once it was reported */
    enum mail_step step;
    ev_io socket;      /* after CONNECTING */
    ev_timer deadline; /* of the whole conversation */
    struct str from, to;
    struct buf message; /* as DATA wants it */
    struct buf in, out;
    struct arena arena; /* addresses */
    char error[CURL_ERROR_SIZE];
};

/* ---- the end ---- */

/* On disconnecting libcurl says QUIT and waits for an answer: there will be none. */
static void mail_disconnect(struct mail_call *m)
{
    curl_socket_t fd;

    if (m->step == MAIL_CONNECTING)
        return; /* libcurl drops what is not established without a word */
    ev_io_stop(m->base.outbound->loop.ev, &m->socket);
    if (curl_easy_getinfo(m->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD)
        (void)shutdown(fd, SHUT_RD);
}

static void mail_stop(struct mail_call *m)
{
    if (m->easy != NULL) {
        ev_timer_stop(m->base.outbound->loop.ev, &m->deadline);
        mail_disconnect(m);
        http_multi_remove(&m->base.outbound->multi, m->easy);
        curl_easy_cleanup(m->easy);
        m->easy = NULL;
    }
    buf_fini(&m->message);
    buf_fini(&m->in);
    buf_fini(&m->out);
}

static void mail_end(struct outbound_call *c)
{
    struct mail_call *m = container_of(c, struct mail_call, base);

    mail_stop(m);
    worker_call_fini(&c->call);
    arena_fini(&m->arena);
    free(m);
}

static void mail_report(struct mail_call *m, enum proto_mail_outcome outcome, struct str reason)
{
    const struct msg_mail_done done = {.call_id = m->base.call.id, .outcome = outcome, .reason = reason};

    proto_put_mail_done(worker_event(&m->base.call), &done);
    worker_event_send(&m->base.call, true);
    mail_stop(m); /* the reason may lie in what this frees */
}

static void mail_fail(struct mail_call *m, struct str reason)
{
    mail_report(m, PROTO_MAIL_FAILED, reason);
}

/* ---- the conversation ---- */

static void mail_watch(struct mail_call *m)
{
    struct ev_loop *ev = m->base.outbound->loop.ev;
    int events = EV_READ | (buf_size(&m->out) != 0 ? EV_WRITE : 0);

    if (m->socket.events == events && ev_is_active(&m->socket))
        return;
    ev_io_stop(ev, &m->socket);
    ev_io_set(&m->socket, m->socket.fd, events);
    ev_io_start(ev, &m->socket);
}

/* Sends what it can. Negative after a report. */
static int mail_send(struct mail_call *m)
{
    while (buf_size(&m->out) != 0) {
        struct str rest = buf_str(&m->out);
        size_t n = 0;
        CURLcode rc = curl_easy_send(m->easy, rest.p, rest.n, &n);

        if (rc == CURLE_AGAIN)
            break;
        if (rc != CURLE_OK) {
            mail_fail(m, STR("the mail server closed the connection"));
            return -EIO;
        }
        buf_consume(&m->out, n);
    }
    mail_watch(m);
    return 0;
}

/* Takes the next step after the reply to the last one was right. */
static void mail_next(struct mail_call *m)
{
    /* An address beyond ASCII needs a server that knows how to carry it (RFC 6531). */
    const char *extension = smtp_address_is_ascii(m->to) ? "" : " SMTPUTF8";

    switch (++m->step) {
    case MAIL_FROM:
        buf_addf(&m->out, "MAIL FROM:<" STR_FMT ">%s\r\n", STR_ARG(m->from), extension);
        break;
    case MAIL_RECIPIENT:
        buf_addf(&m->out, "RCPT TO:<" STR_FMT ">\r\n", STR_ARG(m->to));
        break;
    case MAIL_DATA:
        buf_add(&m->out, STR("DATA\r\n"));
        break;
    default:
        assert(m->step == MAIL_MESSAGE);
        smtp_write_data(&m->out, buf_str(&m->message));
    }
}

static bool mail_is_agreed(enum mail_step step, int code)
{
    return step == MAIL_DATA ? code == 354 : code / 100 == 2;
}

/* A reply: 0 when the conversation goes on, negative after a report. */
static int mail_hear(struct mail_call *m, int code, struct str text)
{
    if (code < 0 || buf_size(&m->out) != 0 || !mail_is_agreed(m->step, code)) {
        mail_fail(m, str_head(text, text.n < MAIL_REASON_MAX ? text.n : MAIL_REASON_MAX));
        return -EPROTO;
    }
    if (m->step == MAIL_MESSAGE) {
        mail_report(m, PROTO_MAIL_SENT, STR(""));
        return -EIO;
    }
    mail_next(m);
    return mail_send(m);
}

/* Replies that have arrived. 0 or negative after a report. */
static int mail_replies(struct mail_call *m)
{
    size_t size = 0;
    int code, rc;

    while (buf_size(&m->in) != 0) {
        code = smtp_reply(buf_str(&m->in), &size);
        if (code == 0)
            return 0;
        rc = mail_hear(m, code, str_trim(code < 0 ? buf_str(&m->in) : str_head(buf_str(&m->in), size)));
        if (rc < 0)
            return rc;
        buf_consume(&m->in, size);
    }
    return 0;
}

/* Reads until nothing is left: what libcurl holds decrypted does not make the socket readable again. */
static void mail_receive(struct mail_call *m)
{
    size_t n;
    CURLcode rc;

    do {
        n = 0;
        rc = curl_easy_recv(m->easy, buf_reserve(&m->in, MAIL_READ_BYTES), MAIL_READ_BYTES, &n);
        if (rc == CURLE_AGAIN)
            return;
        if (rc != CURLE_OK || n == 0) {
            mail_fail(m, STR("the mail server closed the connection"));
            return;
        }
        buf_commit(&m->in, n);
    } while (mail_replies(m) == 0);
}

static void on_socket(struct ev_loop *ev UNUSED, ev_io *w, int revents)
{
    struct mail_call *m = container_of(w, struct mail_call, socket);

    if (revents & EV_WRITE && mail_send(m) < 0)
        return;
    mail_receive(m);
}

static void on_deadline(struct ev_loop *ev UNUSED, ev_timer *t, int revents UNUSED)
{
    mail_fail(container_of(t, struct mail_call, deadline), STR("the mail server took too long"));
}

/* ---- the start ---- */

/* libcurl has connected and signed in, or not. */
static void mail_done(struct outbound_call *c, CURLcode rc)
{
    struct mail_call *m = container_of(c, struct mail_call, base);
    curl_socket_t fd = CURL_SOCKET_BAD;

    if (rc == CURLE_OK)
        rc = curl_easy_getinfo(m->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (rc != CURLE_OK || fd == CURL_SOCKET_BAD) {
        mail_fail(m, str_from(m->error[0] != '\0' ? m->error : curl_easy_strerror(rc)));
        return;
    }
    ev_io_init(&m->socket, on_socket, fd, EV_READ);
    mail_next(m);
    (void)mail_send(m); /* a failure is reported already */
}

/* Where to, and how safely: encrypted always, except that a development server may speak to a plain one. */
static void mail_set_server(CURL *easy, struct arena *a)
{
    bool is_tls = conf.smtp_port == MAIL_TLS_PORT;

    /* The path is what we greet the server with. libcurl copies all texts. */
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

static void mail_connect(struct mail_call *m)
{
    m->easy = curl_easy_init();
    if (m->easy == NULL) {
        mail_fail(m, STR("libcurl gave no handle"));
        return;
    }
    mail_set_server(m->easy, &m->arena);
    curl_easy_setopt(m->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(m->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(m->easy, CURLOPT_PRIVATE, &m->base);
    curl_easy_setopt(m->easy, CURLOPT_ERRORBUFFER, m->error);
    curl_easy_setopt(m->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(m->easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    ev_timer_init(&m->deadline, on_deadline, MAIL_TIMEOUT_S, 0);
    ev_timer_start(m->base.outbound->loop.ev, &m->deadline);
    http_multi_add(&m->base.outbound->multi, m->easy);
}

/* 0 or -EINVAL. */
static int mail_write(struct mail_call *m, const struct msg_mail_send *send)
{
    struct arena *a = &m->arena;
    const struct mime_mail mail = {
        .from = m->from,
        .to = m->to,
        .subject = send->subject,
        .text = send->text,
        .html = send->html,
        .id = arena_strf(a, STR_FMT "@" STR_FMT, STR_ARG(rand_token(a)), STR_ARG(conf.smtp_domain)),
        .date_s = clock_real_us() / 1000000,
    };

    if (!smtp_address_is_valid(m->from) || !smtp_address_is_valid(m->to))
        return -EINVAL;
    return mime_write(&m->message, &mail);
}

static struct mail_call *mail_new(struct outbound *o, const struct msg_mail_send *send)
{
    struct mail_call *m = mem_zalloc(sizeof(*m));

    m->base = (struct outbound_call){.outbound = o, .done = mail_done, .end = mail_end};
    arena_init(&m->arena);
    buf_init(&m->message);
    buf_init(&m->in);
    buf_init(&m->out);
    m->from = arena_strf(&m->arena, "login@" STR_FMT, STR_ARG(conf.smtp_domain));
    m->to = arena_str(&m->arena, send->to);
    return m;
}

int outbound_mail_start(struct outbound *o, struct worker_conn *c, struct str payload)
{
    struct msg_mail_send send;
    struct mail_call *m;

    if (proto_get_mail_send(payload, &send) < 0)
        return -EPROTO;
    m = mail_new(o, &send);
    if (worker_call_init(&m->base.call, c, send.call_id, send.window, STR("mail")) < 0) {
        arena_fini(&m->arena);
        free(m);
        return -EPROTO; /* an id that is taken, or more calls than a reactor may have */
    }
    if (mail_write(m, &send) < 0)
        mail_report(m, PROTO_MAIL_INVALID, STR("an address or the subject cannot be written in a header"));
    else
        mail_connect(m);
    return 0;
}
