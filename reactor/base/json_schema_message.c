/* Values in messages, printed as Python prints them: clients show such texts. */
#include "base/json_schema_parts.h"

enum { REPR_MAX = 500 }; /* bytes, before it is cut */

static void repr_text(struct buf *out, struct str text)
{
    char quote = str_find_byte(text, '\'') >= 0 && str_find_byte(text, '"') < 0 ? '"' : '\'';

    buf_add_byte(out, quote);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c == '\n')
            buf_add(out, STR("\\n"));
        else if (c == '\r')
            buf_add(out, STR("\\r"));
        else if (c == '\t')
            buf_add(out, STR("\\t"));
        else if (c < 0x20 || c == 0x7f)
            buf_addf(out, "\\x%02x", c);
        else if (c == (unsigned char)quote || c == '\\')
            buf_addf(out, "\\%c", c);
        else
            buf_add_byte(out, (char)c);
    }
    buf_add_byte(out, quote);
}

static void repr_scalar(struct buf *out, const struct json *v)
{
    switch (json_type(v)) {
    case JSON_NULL:
        buf_add(out, STR("None"));
        break;
    case JSON_BOOL:
        buf_add(out, json_bool(v) ? STR("True") : STR("False"));
        break;
    case JSON_STRING:
        repr_text(out, str_utf8_head(json_text(v), REPR_MAX));
        break;
    default:
        buf_add(out, str_utf8_head(json_raw(v), REPR_MAX));
    }
}

/* Node by node, as json_write_value() does; ends early when it is long. */
static void repr_write(struct buf *out, const struct json *v)
{
    const struct json *ends[JSON_DEPTH_MAX];
    char brackets[JSON_DEPTH_MAX];
    size_t depth = 0;
    bool is_name = false, is_first = true;

    do {
        if (!is_first)
            buf_add(out, STR(", "));
        is_first = false;
        if (json_is_container(v)) {
            bool is_object = json_node_type(v) == JSON_OBJECT;

            buf_add_byte(out, is_object ? '{' : '[');
            ends[depth] = v + json_span(v);
            brackets[depth++] = is_object ? '}' : ']';
            v += 2;
            is_name = is_object;
            is_first = true;
        } else {
            repr_scalar(out, v);
            v += json_span(v);
            if (is_name) {
                buf_add(out, STR(": "));
                is_first = true;
            }
            is_name = !is_name && depth > 0 && brackets[depth - 1] == '}';
        }
        while (depth > 0 && v == ends[depth - 1]) {
            buf_add_byte(out, brackets[--depth]);
            is_name = depth > 0 && brackets[depth - 1] == '}';
            is_first = false;
        }
    } while (depth > 0 && buf_size(out) <= REPR_MAX);
}

static struct str repr_cut(struct arena *a, struct buf *out)
{
    struct str text = buf_str(out), head = str_utf8_head(text, REPR_MAX);

    return head.n == text.n ? text : arena_strf(a, STR_FMT "...", STR_ARG(head));
}

struct str schema_repr(struct arena *a, const struct json *v)
{
    struct buf out;

    buf_init_arena(&out, a);
    if (v != NULL)
        repr_write(&out, v);
    else
        repr_scalar(&out, v);
    return repr_cut(a, &out);
}

struct str schema_repr_text(struct arena *a, struct str text)
{
    struct buf out;

    buf_init_arena(&out, a);
    repr_text(&out, str_utf8_head(text, REPR_MAX));
    return repr_cut(a, &out);
}
