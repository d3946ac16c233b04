/*
 * The syntax of .env:
 *
 *   # comment
 *   NAME=value            # blanks around name and value do not count; a comment needs a blank before its #
 *   export NAME=value
 *   NAME="value"          escapes: \n \r \t \a \b \f \v \\ \" \' \$; other backslashes stay; may span lines
 *   NAME='value'          escapes: \\ and \' only; may span lines
 *
 * A $ means itself: variables are not expanded.
 */
#include "base/conf.h"

struct reader {
    struct str rest;
    unsigned line;
};

static char reader_peek(const struct reader *r)
{
    return r->rest.n != 0 ? r->rest.p[0] : '\0';
}

static void reader_skip(struct reader *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r->line += r->rest.p[i] == '\n';
    r->rest = str_from_offset(r->rest, n);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void reader_skip_blanks(struct reader *r)
{
    while (r->rest.n != 0 && is_blank(reader_peek(r)))
        reader_skip(r, 1);
}

/* The rest of the line, without its end; the reader is behind it. */
static struct str reader_take_line(struct reader *r)
{
    ssize_t end = str_find_byte(r->rest, '\n');
    struct str line = str_head(r->rest, end >= 0 ? (size_t)end : r->rest.n);

    reader_skip(r, end >= 0 ? (size_t)end + 1 : r->rest.n);
    return line;
}

static bool is_name_byte(char c, bool first)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
        return true;
    return !first && ((c >= '0' && c <= '9') || c == '.' || c == '-');
}

static struct str reader_take_name(struct reader *r)
{
    size_t n = 0;
    struct str name;

    while (n < r->rest.n && is_name_byte(r->rest.p[n], n == 0))
        n++;
    name = str_head(r->rest, n);
    reader_skip(r, n);
    return name;
}

/* Up to a comment or the end of the line. */
static struct str reader_take_plain(struct reader *r)
{
    struct str line = reader_take_line(r);

    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '#' && (i == 0 ? is_blank(line.p[-1]) : is_blank(line.p[i - 1])))
            return str_trim(str_head(line, i));
    }
    return str_trim(line);
}

/* What a backslash and c stand for, or -1 when the backslash stays. */
static int unescape(char quote, char c)
{
    static const char from[] = "nrtabfv\"$";
    static const char to[] = "\n\r\t\a\b\f\v\"$";
    const char *at;

    if (c == '\\' || c == '\'')
        return c;
    at = quote == '"' && c != '\0' ? strchr(from, c) : NULL;
    return at != NULL ? to[at - from] : -1;
}

/* A quoted value; the reader is at the opening quote. 0 or -EINVAL when it is not closed. */
static int reader_take_quoted(struct arena *a, struct reader *r, struct str *value)
{
    char quote = reader_peek(r);
    char *out = arena_bytes(a, r->rest.n);
    size_t i = 1;
    size_t n = 0;

    while (i < r->rest.n && r->rest.p[i] != quote) {
        int escaped = r->rest.p[i] == '\\' && i + 1 < r->rest.n ? unescape(quote, r->rest.p[i + 1]) : -1;

        out[n++] = escaped >= 0 ? (char)escaped : r->rest.p[i];
        i += escaped >= 0 ? 2 : 1;
    }
    if (i >= r->rest.n)
        return -EINVAL;
    reader_skip(r, i + 1);
    *value = str_of(out, n);
    return 0;
}

/* Only blanks and a comment may follow a closing quote. */
static int reader_end_line(struct reader *r)
{
    struct str line;

    reader_skip_blanks(r);
    if (r->rest.n != 0 && reader_peek(r) != '#' && reader_peek(r) != '\n')
        return -EINVAL;
    line = reader_take_line(r);
    (void)line;
    return 0;
}

static int reader_take_value(struct arena *a, struct reader *r, struct str *value)
{
    reader_skip_blanks(r);
    if (reader_peek(r) != '"' && reader_peek(r) != '\'') {
        *value = reader_take_plain(r);
        return 0;
    }
    if (reader_take_quoted(a, r, value) < 0)
        return -EINVAL;
    return reader_end_line(r);
}

static int reader_take_variable(struct arena *a, struct reader *r, struct conf_variable *v)
{
    v->name = reader_take_name(r);
    if (str_eq(v->name, STR("export")) && is_blank(reader_peek(r))) {
        reader_skip_blanks(r);
        if (reader_peek(r) != '=')
            v->name = reader_take_name(r);
    }
    reader_skip_blanks(r);
    if (v->name.n == 0 || reader_peek(r) != '=')
        return -EINVAL;
    reader_skip(r, 1);
    return reader_take_value(a, r, &v->value);
}

static void add_variable(struct arena *a, struct conf_variables *variables, const struct conf_variable *v)
{
    size_t n = variables->count;

    if ((n & (n - 1)) == 0) /* full at every power of two */
        variables->items = arena_grow(a, variables->items, n * sizeof(*v), (n != 0 ? n * 2 : 1) * sizeof(*v));
    variables->items[variables->count++] = *v;
}

int conf_file_parse(struct arena *a, struct str text, struct conf_variables *variables, unsigned *line)
{
    static const struct str byte_order_mark = STR_INIT("\xef\xbb\xbf");
    struct reader r = {text, 1};

    *variables = (struct conf_variables){NULL, 0};
    if (str_starts(r.rest, byte_order_mark))
        reader_skip(&r, byte_order_mark.n);
    while (r.rest.n != 0) {
        struct conf_variable v;

        *line = r.line;
        reader_skip_blanks(&r);
        if (r.rest.n == 0 || reader_peek(&r) == '#' || reader_peek(&r) == '\n') {
            (void)reader_take_line(&r);
            continue;
        }
        if (reader_take_variable(a, &r, &v) < 0 || str_find_byte(v.value, '\0') >= 0)
            return -EINVAL;
        add_variable(a, variables, &v);
    }
    return 0;
}
