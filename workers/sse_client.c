#include "workers/sse_client.h"

static const char bom[] = "\xef\xbb\xbf";

void sse_client_init(struct sse_client *s)
{
    *s = (struct sse_client){0};
    buf_init(&s->data);
}

void sse_client_fini(struct sse_client *s)
{
    buf_fini(&s->data);
}

static int sse_client_event(struct sse_client *s, sse_client_fn on_event, void *arg)
{
    int rc = 0;

    if (s->has_data)
        rc = on_event(arg, buf_str(&s->data));
    s->has_data = false;
    buf_consume(&s->data, buf_size(&s->data));
    return rc;
}

/* The name is complete: what follows is data or nothing to us. */
static void sse_client_field(struct sse_client *s)
{
    if (!str_eq(str_of(s->name, s->name_size), STR("data"))) {
        s->state = SSE_CLIENT_IGNORED;
        return;
    }
    s->state = SSE_CLIENT_BLANK;
    if (s->has_data)
        buf_add_byte(&s->data, '\n');
    s->has_data = true;
}

static int sse_client_line_end(struct sse_client *s, sse_client_fn on_event, void *arg)
{
    int rc = 0;

    if (s->state == SSE_CLIENT_NAME && s->name_size == 0)
        rc = sse_client_event(s, on_event, arg);
    else if (s->state == SSE_CLIENT_NAME)
        sse_client_field(s); /* a name without a colon: an empty line of data */
    s->state = SSE_CLIENT_NAME;
    s->name_size = 0;
    return rc == 0 && buf_size(&s->data) > SSE_CLIENT_EVENT_MAX ? -EMSGSIZE : rc;
}

/* Names, colons and the blank behind them, byte by byte. */
static void sse_client_byte(struct sse_client *s, char byte)
{
    if (s->state == SSE_CLIENT_BLANK) {
        s->state = SSE_CLIENT_DATA;
        if (byte != ' ')
            buf_add_byte(&s->data, byte);
    } else if (byte == ':') {
        sse_client_field(s); /* a comment has an empty name, which is not "data" */
    } else if (s->name_size < SSE_CLIENT_FIELD_MAX) {
        s->name[s->name_size++] = byte;
    }
}

static size_t line_length(struct str bytes)
{
    size_t n = 0;

    while (n < bytes.n && bytes.p[n] != '\n' && bytes.p[n] != '\r')
        n++;
    return n;
}

/* A run without line ends. */
static int sse_client_run(struct sse_client *s, struct str run)
{
    while (run.n > 0 && (s->state == SSE_CLIENT_NAME || s->state == SSE_CLIENT_BLANK)) {
        sse_client_byte(s, run.p[0]);
        run = str_from_offset(run, 1);
    }
    if (s->state != SSE_CLIENT_DATA)
        return 0;
    if (buf_size(&s->data) + run.n > SSE_CLIENT_EVENT_MAX)
        return -EMSGSIZE;
    buf_add(&s->data, run);
    return 0;
}

/* Takes a byte order mark off the very first bytes; what only began like one goes on as text. */
static struct str sse_client_start(struct sse_client *s, struct str bytes)
{
    while (!s->has_started && bytes.n > 0) {
        assert(s->bom_size < sizeof(bom) - 1);
        if (bytes.p[0] == bom[s->bom_size]) {
            s->has_started = ++s->bom_size == sizeof(bom) - 1;
            bytes = str_from_offset(bytes, 1);
            continue;
        }
        s->has_started = true;
        for (unsigned i = 0; i < s->bom_size; i++)
            sse_client_byte(s, bom[i]);
    }
    return bytes;
}

int sse_client_feed(struct sse_client *s, struct str bytes, sse_client_fn on_event, void *arg)
{
    bytes = sse_client_start(s, bytes);
    while (bytes.n > 0) {
        size_t n = line_length(bytes);
        int rc;

        if (n == 0 && bytes.p[0] == '\n' && s->skips_lf) { /* the second half of CRLF */
            s->skips_lf = false;
            bytes = str_from_offset(bytes, 1);
            continue;
        }
        s->skips_lf = false;
        rc = sse_client_run(s, str_head(bytes, n));
        if (rc < 0)
            return rc;
        if (n == bytes.n)
            return 0;
        s->skips_lf = bytes.p[n] == '\r';
        bytes = str_from_offset(bytes, n + 1);
        rc = sse_client_line_end(s, on_event, arg);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int sse_client_finish(struct sse_client *s, sse_client_fn on_event, void *arg)
{
    int rc = 0;

    if (s->state != SSE_CLIENT_NAME || s->name_size != 0)
        rc = sse_client_line_end(s, on_event, arg);
    return rc < 0 ? rc : sse_client_event(s, on_event, arg);
}
