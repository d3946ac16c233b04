/*
 * The JSON reader: a state machine over tokens. What is open lies on a stack of
 * node indexes, so that a hostile text costs no machine stack, and so that a
 * step may end between any two tokens and inside strings, which are the only
 * tokens that get long.
 *
 * Nodes grow on the heap, where large pieces move without being copied, and go
 * to the arena when their number is known; many stay where they are and leave
 * with the arena.
 */
#include "base/json.h"

#include "base/json_node.h"
#include "base/json_scan.h"

enum state {
    STATE_VALUE,       /* a value must come */
    STATE_FIRST_VALUE, /* a value or ']' */
    STATE_NAME,        /* a member's name must come */
    STATE_FIRST_NAME,  /* a name or '}' */
    STATE_COLON,
    STATE_AFTER,  /* ',' or the end of the container */
    STATE_END,    /* nothing but white space */
    STATE_STRING, /* inside a string; states from here on do not skip white space */
    STATE_DECODE, /* copying a string that has escapes */
};

enum {
    NODES_FIRST_MAX = 65536, /* reserved at the start, by the length of the text */
    NODES_IN_ARENA_MAX = 4096
};

struct json_parser {
    const char *at, *end;
    struct json *nodes;
    uint32_t count, capacity;
    uint32_t depth;
    enum state state;
    bool string_is_name;
    bool string_has_escapes;
    const char *string; /* its opening quote */
    const char *from;   /* of what is being decoded; at the end of it, to */
    char *decoded, *to;
    const char *text;
    struct arena *arena;
    struct json_error error;
    uint32_t open[JSON_DEPTH_MAX];
};

enum { STEP_DONE, STEP_MORE };

static int fail(struct json_parser *p, const char *at, const char *reason)
{
    p->error = (struct json_error){.offset = (size_t)(at - p->text), .reason = reason};
    return -EINVAL;
}

static void nodes_free(void *parser)
{
    struct json_parser *p = parser;

    free(p->nodes);
    p->nodes = NULL;
}

struct json_parser *json_parse_start(struct arena *a, struct str text)
{
    struct json_parser *p = arena_alloc(a, sizeof(*p));
    size_t guess = text.n / 16 + 8;

    memset(p, 0, offsetof(struct json_parser, open));
    p->text = p->at = text.p != NULL ? text.p : "";
    p->end = p->text + text.n;
    p->arena = a;
    p->capacity = guess < NODES_FIRST_MAX ? (uint32_t)guess : NODES_FIRST_MAX;
    p->nodes = mem_alloc(p->capacity * sizeof(*p->nodes));
    arena_defer(a, nodes_free, p);
    return p;
}

static __attribute__((noinline)) void nodes_grow(struct json_parser *p)
{
    p->capacity *= 2;
    p->nodes = mem_realloc(p->nodes, p->capacity * sizeof(*p->nodes));
}

/* Room for a value of two slots. */
static inline struct json *node_add(struct json_parser *p, uint32_t slots)
{
    struct json *v;

    if (p->capacity - p->count < 2)
        nodes_grow(p);
    v = p->nodes + p->count;
    p->count += slots;
    return v;
}

static inline enum state state_after_value(const struct json_parser *p)
{
    return p->depth != 0 ? STATE_AFTER : STATE_END;
}

/* ---- Strings ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The unit of \uXXXX at at, or -1. */
static int32_t escaped_unit(const char *at, const char *end)
{
    int32_t unit = 0;

    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);

        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* The bytes of the valid escape at at, a surrogate pair being one; 0 when it is none. */
static size_t escape_length(const char *at, const char *end)
{
    int32_t unit, low;

    if (end - at < 2)
        return 0;
    if (at[1] != 'u')
        return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]) != NULL ? 2 : 0;
    unit = escaped_unit(at, end);
    if (unit < 0 || (unit & 0xfc00) == 0xdc00)
        return 0;
    if ((unit & 0xfc00) != 0xd800)
        return 6;
    low = escaped_unit(at + 6, end);
    return low >= 0 && (low & 0xfc00) == 0xdc00 ? 12 : 0;
}

static int string_fail(struct json_parser *p, const char *at)
{
    if (at == p->end)
        return fail(p, p->string, "Unterminated string starting at");
    if (*at == '\\')
        return fail(p, at, "Invalid \\escape");
    if ((unsigned char)*at < 0x20)
        return fail(p, at, "Invalid control character at");
    return fail(p, at, "Invalid UTF-8");
}

static inline void string_end(struct json_parser *p)
{
    p->state = p->string_is_name ? STATE_COLON : state_after_value(p);
}

static inline int string_closed(struct json_parser *p, const char *quote)
{
    struct json *v;

    p->at = quote + 1;
    v = node_add(p, p->string_has_escapes ? 2 : 1);
    v->p = p->string;
    v->n = (uint32_t)(p->at - p->string);
    v->info = json_info(JSON_STRING, 1);
    if (!p->string_has_escapes) {
        string_end(p);
        return STEP_DONE;
    }
    v->info = json_info(JSON_STRING, 2) | JSON_FLAG;
    p->from = p->string + 1;
    p->decoded = p->to = arena_bytes(p->arena, v->n); /* escapes only get shorter */
    p->state = STATE_DECODE;
    return STEP_DONE;
}

/* Goes on inside the string at p->at, to its end or to stop. */
static int string_read(struct json_parser *p, const char *stop)
{
    const char *at = p->at;

    for (;;) {
        size_t n;

        if (at < stop)
            at = scan_plain(at, stop, true);
        if (at >= stop)
            break;
        if (*at == '"')
            return string_closed(p, at);
        if (*at == '\\') {
            n = escape_length(at, p->end);
            p->string_has_escapes = true;
        } else {
            n = str_utf8_sequence(str_of(at, (size_t)(p->end - at)));
            n = (unsigned char)*at < 0x20 ? 0 : n;
        }
        if (n == 0)
            return string_fail(p, at);
        at += n;
    }
    p->at = at;
    return at == p->end ? string_fail(p, at) : STEP_MORE;
}

static inline int string_start(struct json_parser *p, const char *at, bool is_name, const char *stop)
{
    p->string = at;
    p->string_is_name = is_name;
    p->string_has_escapes = false;
    p->at = at + 1;
    p->state = STATE_STRING;
    return string_read(p, stop);
}

static char *utf8_put(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

static char escape_char(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

/* Decodes the escape at p->from, which is known to be valid. */
static void string_unescape(struct json_parser *p)
{
    uint32_t c, low;

    if (p->from[1] != 'u') {
        *p->to++ = escape_char(p->from[1]);
        p->from += 2;
        return;
    }
    c = (uint32_t)escaped_unit(p->from, p->end);
    p->from += 6;
    if ((c & 0xfc00) == 0xd800) {
        low = (uint32_t)escaped_unit(p->from, p->end);
        c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
        p->from += 6;
    }
    p->to = utf8_put(p->to, c);
}

/* Copies at most max source bytes more of the string that ends in front of p->at. */
static int string_decode(struct json_parser *p, size_t max)
{
    const char *quote = p->at - 1;
    const char *stop = (size_t)(quote - p->from) > max ? p->from + max : quote;
    struct json *extra;

    while (p->from < stop) {
        const char *escape = memchr(p->from, '\\', (size_t)(stop - p->from));
        size_t n = (size_t)((escape != NULL ? escape : stop) - p->from);

        memcpy(p->to, p->from, n);
        p->to += n;
        p->from += n;
        if (escape != NULL)
            string_unescape(p);
    }
    if (p->from < quote)
        return STEP_MORE;
    extra = p->nodes + p->count - 1;
    *extra = (struct json){.p = p->decoded, .n = (uint32_t)(p->to - p->decoded)};
    string_end(p);
    return STEP_DONE;
}

/* ---- Other values ---- */

static inline int scalar_add(struct json_parser *p, const char *at, size_t n, uint32_t info)
{
    struct json *v = node_add(p, 1);

    v->p = at;
    v->n = (uint32_t)n;
    v->info = info;
    p->at = at + n;
    p->state = state_after_value(p);
    return STEP_DONE;
}

static int literal_read(struct json_parser *p, const char *at, struct str literal, uint32_t info)
{
    if (!str_starts(str_of(at, (size_t)(p->end - at)), literal))
        return fail(p, at, "Expecting value");
    return scalar_add(p, at, literal.n, info);
}

static inline const char *scan_digits(const char *at, const char *end)
{
    while (at < end && (unsigned char)(*at - '0') <= 9)
        at++;
    return at;
}

static inline bool is_digit_at(const char *at, const char *end)
{
    return at < end && (unsigned char)(*at - '0') <= 9;
}

static inline int number_read(struct json_parser *p, const char *start)
{
    const char *at = start + (*start == '-'), *end = p->end;
    uint32_t info = json_info(JSON_NUMBER, 1);

    if (!is_digit_at(at, end))
        return fail(p, start, "Expecting value");
    at = *at == '0' ? at + 1 : scan_digits(at + 1, end);
    if (at < end && *at == '.') {
        if (!is_digit_at(at + 1, end))
            return fail(p, at, "Expecting digits after the decimal point");
        info |= JSON_FLAG;
        at = scan_digits(at + 2, end);
    }
    if (at < end && (*at | 0x20) == 'e') {
        const char *sign = at + 1;

        if (sign < end && (*sign == '+' || *sign == '-'))
            sign++;
        if (!is_digit_at(sign, end))
            return fail(p, at, "Expecting digits in the exponent");
        info |= JSON_FLAG;
        at = scan_digits(sign + 1, end);
    }
    return scalar_add(p, start, (size_t)(at - start), info);
}

static inline int container_open(struct json_parser *p, const char *at, enum json_type type)
{
    struct json *v;

    if (p->depth == JSON_DEPTH_MAX)
        return fail(p, at, "Nested too deeply");
    p->open[p->depth++] = p->count;
    v = node_add(p, 2);
    v->p = at;
    v->info = json_info(type, 0);
    v[1] = (struct json){0};
    p->at = at + 1;
    p->state = type == JSON_OBJECT ? STATE_FIRST_NAME : STATE_FIRST_VALUE;
    return STEP_DONE;
}

/* The container's second slot holds the commas until here. */
static inline int container_close(struct json_parser *p, const char *at)
{
    uint32_t index = p->open[--p->depth];
    struct json *v = p->nodes + index;
    uint32_t span = p->count - index;

    p->at = at + 1;
    v->n = (uint32_t)(p->at - v->p);
    v->info |= span << JSON_SPAN_SHIFT;
    v[1].n += span > 2;
    p->state = state_after_value(p);
    return STEP_DONE;
}

static inline int value_read(struct json_parser *p, const char *at, const char *stop)
{
    switch (*at) {
    case '"':
        return string_start(p, at, false, stop);
    case '{':
        return container_open(p, at, JSON_OBJECT);
    case '[':
        return container_open(p, at, JSON_ARRAY);
    case 't':
        return literal_read(p, at, STR("true"), json_info(JSON_BOOL, 1) | JSON_FLAG);
    case 'f':
        return literal_read(p, at, STR("false"), json_info(JSON_BOOL, 1));
    case 'n':
        return literal_read(p, at, STR("null"), json_info(JSON_NULL, 1));
    case '-':
    case '0' ... '9':
        return number_read(p, at);
    default:
        return fail(p, at, "Expecting value");
    }
}

static inline int after_read(struct json_parser *p, const char *at)
{
    struct json *parent = p->nodes + p->open[p->depth - 1];
    bool is_object = json_node_type(parent) == JSON_OBJECT;

    if (*at == ',') {
        parent[1].n++;
        p->at = at + 1;
        p->state = is_object ? STATE_NAME : STATE_VALUE;
        return STEP_DONE;
    }
    if (*at != (is_object ? '}' : ']'))
        return fail(p, at, "Expecting ',' delimiter");
    return container_close(p, at);
}

/* Reads one token at at, which is no white space. */
static inline int token_read(struct json_parser *p, const char *at, const char *stop)
{
    switch (p->state) {
    case STATE_FIRST_VALUE:
        if (*at == ']')
            return container_close(p, at);
        return value_read(p, at, stop);
    case STATE_VALUE:
        return value_read(p, at, stop);
    case STATE_FIRST_NAME:
        if (*at == '}')
            return container_close(p, at);
        /* fall through */
    case STATE_NAME:
        if (*at != '"')
            return fail(p, at, "Expecting property name enclosed in double quotes");
        return string_start(p, at, true, stop);
    case STATE_COLON:
        if (*at != ':')
            return fail(p, at, "Expecting ':' delimiter");
        p->at = at + 1;
        p->state = STATE_VALUE;
        return STEP_DONE;
    case STATE_AFTER:
        return after_read(p, at);
    case STATE_END:
        return fail(p, at, "Extra data");
    case STATE_STRING:
    case STATE_DECODE:
        break;
    }
    abort();
}

static int end_of_text(struct json_parser *p)
{
    static const char *const reasons[] = {
        [STATE_VALUE] = "Expecting value",
        [STATE_FIRST_VALUE] = "Expecting value",
        [STATE_NAME] = "Expecting property name enclosed in double quotes",
        [STATE_FIRST_NAME] = "Expecting property name enclosed in double quotes",
        [STATE_COLON] = "Expecting ':' delimiter",
        [STATE_AFTER] = "Expecting ',' delimiter",
    };

    return p->state == STATE_END ? STEP_DONE : fail(p, p->end, reasons[p->state]);
}

/* Reads about max bytes; decoding is counted by the string. */
static int parser_run(struct json_parser *p, size_t max)
{
    const char *stop = (size_t)(p->end - p->at) > max ? p->at + max : p->end;
    int rc;

    for (;;) {
        if (p->state < STATE_STRING) {
            const char *at = p->at < stop ? scan_space(p->at, stop) : p->at;

            p->at = at;
            if (at >= stop)
                return at == p->end ? end_of_text(p) : STEP_MORE;
            rc = token_read(p, at, stop);
        } else if (p->state == STATE_STRING) {
            rc = string_read(p, stop);
        } else {
            rc = string_decode(p, max);
        }
        if (rc != STEP_DONE)
            return rc;
    }
}

/* The nodes get their final place and size. */
static const struct json *nodes_settle(struct json_parser *p)
{
    size_t bytes = p->count * sizeof(*p->nodes);
    struct json *nodes;

    if (p->count > NODES_IN_ARENA_MAX) {
        p->nodes = mem_realloc(p->nodes, bytes);
        return p->nodes;
    }
    nodes = arena_alloc(p->arena, bytes);
    memcpy(nodes, p->nodes, bytes);
    nodes_free(p);
    return nodes;
}

int json_parse_step(struct json_parser *p, size_t max_bytes, const struct json **value,
                    struct json_error *error)
{
    int rc;

    if (p->end - p->text > JSON_TEXT_MAX)
        rc = fail(p, p->text + JSON_TEXT_MAX, "Too long");
    else
        rc = parser_run(p, max_bytes != 0 ? max_bytes : 1);
    if (rc < 0) {
        nodes_free(p);
        *error = p->error;
    } else if (rc == STEP_DONE) {
        *value = nodes_settle(p);
    }
    return rc;
}

int json_parse(struct arena *a, struct str text, const struct json **value, struct json_error *error)
{
    return json_parse_step(json_parse_start(a, text), SIZE_MAX, value, error);
}
