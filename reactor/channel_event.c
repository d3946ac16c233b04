#include "channel_event.h"

/* ---- ids ---- */

struct str event_id_text(char out[EVENT_ID_TEXT], struct event_id id)
{
    size_t n = str_put_i64(out, id.ms);

    out[n++] = '-';
    n += str_put_i64(out + n, id.n);
    return str_of(out, n);
}

int event_id_parse(struct str text, struct event_id *id)
{
    struct str rest = text;
    struct str ms = str_cut(&rest, '-');

    *id = EVENT_ID_ZERO;
    if (str_to_i64(ms, &id->ms) < 0 || id->ms < 0)
        return -EINVAL;
    if (!str_is_none(rest) && (str_to_i64(rest, &id->n) < 0 || id->n < 0))
        return -EINVAL;
    return 0;
}

/* ---- frames ---- */

bool event_is_terminal(struct str event)
{
    return str_eq(event, STR("done")) || str_eq(event, STR("error"));
}

struct str event_stream_key(struct arena *a, struct str channel_id)
{
    return arena_strf(a, "sinas:stream:" STR_FMT, STR_ARG(channel_id));
}

struct stream_text *event_frame_new(struct event_id id, struct str event, struct str data)
{
    char id_text[EVENT_ID_TEXT];
    const struct str parts[] = {
        STR("id: "),     event_id_text(id_text, id), STR("\r\nevent: "), event, STR("\r\ndata: "), data,
        STR("\r\n\r\n"),
    };

    return stream_text_join(parts, nelem(parts));
}

struct stream_text *event_frame_of_entry(struct arena *a, struct event_id id, struct str entry,
                                         bool *terminal)
{
    static const char *const named[] = {
        "approval_required", "tool_start", "tool_end", "ping", "done", "error"};
    const struct json *root;
    struct json_error error;
    struct str event = STR("message");
    struct str data = entry;

    *terminal = false;
    if (json_parse(a, entry, &root, &error) < 0)
        return NULL; /* not ours */
    for (size_t i = 0; i < nelem(named); i++) {
        if (str_eq(json_get_text(root, STR("type")), str_from(named[i])))
            event = str_from(named[i]);
    }
    if (event_is_terminal(event)) {
        struct json_writer w;
        struct buf b;

        buf_init_arena(&b, a);
        json_write_init(&w, &b);
        json_object_begin(&w);
        json_each_member (m, root) {
            if (str_eq(json_text(json_key(m)), STR("type")))
                continue;
            json_key_write(&w, json_text(json_key(m)));
            json_write_value(&w, json_value(m));
        }
        json_object_end(&w);
        data = buf_str(&b);
        *terminal = true;
    } else if (str_eq(event, STR("ping"))) {
        data = STR("");
    }
    return event_frame_new(id, event, data);
}
