/* Writing JSON: text goes straight to the buffer, what needs no escape in one piece. */
#include "base/json.h"

#include "base/json_node.h"
#include "base/json_scan.h"

#include <math.h>

void json_write_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

static void separate(struct json_writer *w)
{
    if (w->comma)
        buf_add_byte(w->out, ',');
    w->comma = true;
}

static void begin(struct json_writer *w, char bracket)
{
    separate(w);
    buf_add_byte(w->out, bracket);
    w->comma = false;
}

static void end(struct json_writer *w, char bracket)
{
    buf_add_byte(w->out, bracket);
    w->comma = true;
}

void json_object_begin(struct json_writer *w)
{
    begin(w, '{');
}

void json_object_end(struct json_writer *w)
{
    end(w, '}');
}

void json_array_begin(struct json_writer *w)
{
    begin(w, '[');
}

void json_array_end(struct json_writer *w)
{
    end(w, ']');
}

static void escape_write(struct buf *out, unsigned char c)
{
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
    };
    static const char hex[] = "0123456789abcdef";
    char *to = buf_reserve(out, 6);

    to[0] = '\\';
    if (c >= 0x20 || letters[c] != '\0') {
        to[1] = c >= 0x20 ? (char)c : letters[c];
        buf_commit(out, 2);
        return;
    }
    memcpy(to + 1, "u00", 3);
    to[4] = hex[c >> 4];
    to[5] = hex[c & 15];
    buf_commit(out, 6);
}

void json_quote(struct buf *out, struct str s)
{
    const char *at = s.n != 0 ? s.p : "", *stop = at + s.n;

    (void)buf_reserve(out, s.n + 2); /* one growth, as a rule */
    buf_add_byte(out, '"');
    while (at < stop) {
        const char *special = scan_plain(at, stop, false);

        buf_add(out, str_of(at, (size_t)(special - at)));
        at = special;
        if (at < stop)
            escape_write(out, (unsigned char)*at++);
    }
    buf_add_byte(out, '"');
}

void json_key_write(struct json_writer *w, struct str name)
{
    separate(w);
    json_quote(w->out, name);
    buf_add_byte(w->out, ':');
    w->comma = false;
}

void json_write_str(struct json_writer *w, struct str s)
{
    if (str_is_none(s)) {
        json_write_null(w);
        return;
    }
    separate(w);
    json_quote(w->out, s);
}

void json_write_i64(struct json_writer *w, int64_t n)
{
    separate(w);
    buf_add_i64(w->out, n);
}

void json_write_double(struct json_writer *w, double n)
{
    if (!isfinite(n)) {
        json_write_null(w);
        return;
    }
    separate(w);
    json_number_write(w->out, n);
}

void json_write_bool(struct json_writer *w, bool b)
{
    json_write_raw(w, b ? STR("true") : STR("false"));
}

void json_write_null(struct json_writer *w)
{
    json_write_raw(w, STR("null"));
}

void json_write_raw(struct json_writer *w, struct str json)
{
    separate(w);
    buf_add(w->out, str_is_none(json) ? STR("null") : json);
}

/*
 * The nodes lie in the order of the text, so they are written one behind the
 * other; the stack knows only where the open containers end.
 */
void json_write_value(struct json_writer *w, const struct json *v)
{
    const struct json *ends[JSON_DEPTH_MAX];
    char brackets[JSON_DEPTH_MAX];
    size_t depth = 0;
    bool is_name = false;

    if (v == NULL) {
        json_write_null(w);
        return;
    }
    do {
        bool is_object = json_node_type(v) == JSON_OBJECT;

        if (json_is_container(v)) {
            begin(w, is_object ? '{' : '[');
            ends[depth] = v + json_span(v);
            brackets[depth++] = is_object ? '}' : ']';
            v += 2;
            is_name = is_object;
        } else {
            json_write_raw(w, json_raw(v));
            v += json_span(v);
            if (is_name) {
                buf_add_byte(w->out, ':');
                w->comma = false;
            }
            is_name = !is_name && depth > 0 && brackets[depth - 1] == '}';
        }
        while (depth > 0 && v == ends[depth - 1]) {
            end(w, brackets[--depth]);
            is_name = depth > 0 && brackets[depth - 1] == '}';
        }
    } while (depth > 0);
}

void json_field_str(struct json_writer *w, struct str name, struct str s)
{
    json_key_write(w, name);
    json_write_str(w, s);
}

void json_field_i64(struct json_writer *w, struct str name, int64_t n)
{
    json_key_write(w, name);
    json_write_i64(w, n);
}

void json_field_bool(struct json_writer *w, struct str name, bool b)
{
    json_key_write(w, name);
    json_write_bool(w, b);
}

void json_field_raw(struct json_writer *w, struct str name, struct str json)
{
    json_key_write(w, name);
    json_write_raw(w, json);
}

void json_field_null(struct json_writer *w, struct str name)
{
    json_key_write(w, name);
    json_write_null(w);
}
