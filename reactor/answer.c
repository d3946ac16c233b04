#include "conn_parts.h"

#include "base/clock.h"
#include "base/log.h"

#include <limits.h>
#include <time.h>

/* The head of an answer, and the line about it in the access log. */

static const struct str security_headers = STR_INIT("Server: sinas\r\n"
                                                    "X-Content-Type-Options: nosniff\r\n"
                                                    "Referrer-Policy: strict-origin-when-cross-origin\r\n"
                                                    "X-XSS-Protection: 1; mode=block\r\n");

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", made once per second. */
static struct str answer_date(struct conn_pool *pool)
{
    int64_t now_s = clock_real_us() / 1000000;

    if (now_s != pool->date_s) {
        time_t t = (time_t)now_s;
        struct tm tm;

        (void)gmtime_r(&t, &tm);
        /* The C library's names of days and months are English: no locale is ever set. */
        (void)strftime(pool->date, sizeof(pool->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
        pool->date_s = now_s;
    }
    return str_from(pool->date);
}

static void add_status_line(struct buf *out, int status)
{
    buf_add(out, STR("HTTP/1.1 "));
    buf_add_i64(out, status);
    buf_add_byte(out, ' ');
    buf_add(out, str_from(http_reason(status)));
    buf_add(out, STR("\r\n"));
}

static void add_line(struct buf *out, struct str name_colon, struct str value)
{
    buf_add(out, name_colon);
    buf_add(out, value);
    buf_add(out, STR("\r\n"));
}

static void add_content(const struct req *r, enum answer_framing framing, struct buf *out)
{
    if (r->status == 204 || r->status == 304)
        return;
    if (r->content_type.n != 0)
        add_line(out, STR("Content-Type: "), r->content_type);
    if (framing == ANSWER_CHUNKED) {
        buf_add(out, STR("Transfer-Encoding: chunked\r\n"));
    } else if (framing == ANSWER_SIZED) {
        buf_add(out, STR("Content-Length: "));
        buf_add_i64(out, (int64_t)buf_size(&r->answer));
        buf_add(out, STR("\r\n"));
    }
}

/* 1.1 needs no word to stay, but a stream says it all the same (spec 20 §4.1). */
static void add_connection(const struct req *r, enum answer_framing framing, bool closes, struct buf *out)
{
    if (closes)
        buf_add(out, STR("Connection: close\r\n"));
    else if (r->head.minor_version == 0 || framing != ANSWER_SIZED)
        buf_add(out, STR("Connection: keep-alive\r\n"));
}

/* Whether the handler has set it, spelled as everywhere in our code. */
static bool has_header(const struct req *r, struct str name_colon)
{
    return str_find(buf_str(&r->headers), name_colon) >= 0;
}

static void add_security(const struct req *r, struct buf *out)
{
    unsigned flags = r->route != NULL ? r->route->flags : 0;

    buf_add(out, security_headers);
    if (!(flags & ROUTE_FRAMEABLE))
        buf_add(out, STR("X-Frame-Options: SAMEORIGIN\r\n"));
    if ((flags & ROUTE_NO_STORE) && !has_header(r, STR("Cache-Control:")))
        buf_add(out, STR("Cache-Control: no-store\r\n"));
    if (r->is_tls)
        buf_add(out, STR("Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n"));
    if (r->status == 401 && !has_header(r, STR("WWW-Authenticate:")))
        buf_add(out, STR("WWW-Authenticate: Bearer\r\n"));
}

void answer_head(struct conn_pool *pool, const struct req *r, enum answer_framing framing, bool closes,
                 struct buf *out)
{
    (void)buf_reserve(out, 1024 + (framing == ANSWER_SIZED && buf_size(&r->answer) <= CONN_HELD_BYTES
                                       ? buf_size(&r->answer)
                                       : 0));
    add_status_line(out, r->status);
    buf_add(out, answer_date(pool));
    add_content(r, framing, out);
    add_connection(r, framing, closes, out);
    add_line(out, STR("X-Request-ID: "), str_from(r->id));
    add_security(r, out);
    cors_headers(&pool->cors, http_field(&r->head, STR("origin")), out);
    buf_add(out, buf_str(&r->headers));
    buf_add(out, STR("\r\n"));
}

/* ---- the access log ---- */

static bool is_logged(const struct req *r)
{
    if (r->route != NULL)
        return !(r->route->flags & ROUTE_QUIET);
    return r->head.method != HTTP_OPTIONS;
}

static void log_render(struct json_writer *w, const struct req *r)
{
    char time_text[CLOCK_TEXT_SIZE];
    int64_t ms = (clock_mono_ns() - r->started_ns) / 1000000;

    json_object_begin(w);
    json_field_str(w, STR("time"), clock_text(time_text, clock_real_us()));
    json_field_str(w, STR("id"), str_from(r->id));
    json_field_str(w, STR("method"), r->head.method_text);
    json_field_str(w, STR("path"), r->head.path);
    json_field_i64(w, STR("status"), r->status != 0 ? r->status : 499);
    json_field_i64(w, STR("bytes"), r->is_streaming ? 0 : (int64_t)buf_size(&r->answer));
    json_field_i64(w, STR("ms"), ms);
    json_field_str(w, STR("client"), r->client);
    if (r->user_id[0] != '\0')
        json_field_str(w, STR("user"), str_from(r->user_id));
    json_object_end(w);
}

/*
 * Lines of a turn are written together, in pieces that a pipe takes whole, so
 * that those of several processes never mix.
 */
void answer_log(struct conn_pool *pool, const struct req *r)
{
    size_t before = buf_size(&pool->log);
    struct json_writer w;

    if (!is_logged(r) || !log_is_on(LOG_INFO))
        return;
    if (before != 0)
        buf_add_byte(&pool->log, '\n');
    json_write_init(&w, &pool->log);
    log_render(&w, r);
    if (buf_size(&pool->log) >= PIPE_BUF && before != 0) {
        log_line(str_head(buf_str(&pool->log), before));
        buf_consume(&pool->log, before + 1);
    }
    loop_defer(&pool->server->loop, &pool->turn_end);
}

void answer_log_flush(struct conn_pool *pool)
{
    if (buf_size(&pool->log) == 0)
        return;
    log_line(buf_str(&pool->log));
    buf_clear(&pool->log);
}
