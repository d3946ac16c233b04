/*
 * Errors are written into the answer's list as they are found. What they echo is
 * bounded, because an enclosing object is repeated for each missing
 * member of it: a small request must not make a huge answer. Values of
 * secret columns are never echoed.
 */
#include "handlers/check.h"

#include "base/clock.h"
#include "base/scalar.h"
#include "handlers/pattern.h"

enum {
    CHECK_DEPTH_MAX = JSON_DEPTH_MAX + 2,
    CHECK_ERRORS_MAX = 1000,
    CHECK_ECHO_MAX = 256 << 10,   /* bytes of all inputs together; those behind are null */
    CHECK_COMPACT_MAX = 64 << 10, /* longer documents keep the white space they came with */
    NUMBER_TEXT_MAX = 40          /* longer numbers are rounded to double precision */
};

struct place {
    struct str name; /* STR_NONE: index */
    size_t index;
};

struct check {
    struct arena *arena;
    struct buf out;
    struct json_writer w;
    unsigned errors;
    size_t echo_left;
    const struct body *body; /* whose members are being checked */
    unsigned depth;
    struct place places[CHECK_DEPTH_MAX];
};

struct value *values_find(const struct values *v, const char *name)
{
    for (size_t i = 0; v != NULL && i < v->count; i++) {
        if (strcmp(v->items[i].column->name, name) == 0)
            return &v->items[i];
    }
    return NULL;
}

/* Where we are. */

struct check *check_new(struct arena *a, const char *root)
{
    struct check *c = arena_zalloc(a, sizeof(*c));

    c->arena = a;
    c->echo_left = CHECK_ECHO_MAX;
    buf_init_arena(&c->out, a);
    json_write_init(&c->w, &c->out);
    json_array_begin(&c->w);
    check_enter(c, root);
    return c;
}

static void check_push(struct check *c, struct place at)
{
    assert(c->depth < CHECK_DEPTH_MAX);
    c->places[c->depth++] = at;
}

void check_enter(struct check *c, const char *name)
{
    check_push(c, (struct place){.name = str_from(name)});
}

void check_enter_str(struct check *c, struct str name)
{
    check_push(c, (struct place){.name = name});
}

void check_enter_index(struct check *c, size_t index)
{
    check_push(c, (struct place){.index = index});
}

void check_leave(struct check *c)
{
    assert(c->depth > 0);
    c->depth--;
}

bool check_is_clean(const struct check *c)
{
    return c->errors == 0;
}

struct str check_errors(const struct check *c)
{
    return arena_strf(c->arena, STR_FMT "]", STR_ARG(buf_str(&c->out)));
}

/* One error. */

static void write_loc(struct check *c)
{
    json_key_write(&c->w, STR("loc"));
    json_array_begin(&c->w);
    for (unsigned i = 0; i < c->depth; i++) {
        if (!str_is_none(c->places[i].name))
            json_write_str(&c->w, c->places[i].name);
        else
            json_write_i64(&c->w, (int64_t)c->places[i].index);
    }
    json_array_end(&c->w);
}

static bool echo_is_affordable(struct check *c, size_t n)
{
    if (n > c->echo_left)
        return false;
    c->echo_left -= n;
    return true;
}

static bool is_secret_member(const struct body *b, struct str name)
{
    for (size_t i = 0; b != NULL && i < b->columns_count; i++) {
        if ((b->columns[i].flags & COL_SECRET) && str_eq(str_from(b->columns[i].name), name))
            return true;
    }
    return false;
}

/* The object whose members are checked, without the values of secrets. */
static void write_object(struct check *c, const struct json *object)
{
    json_object_begin(&c->w);
    json_each_member (m, object) {
        struct str name = json_text(json_key(m));

        json_key_write(&c->w, name);
        if (is_secret_member(c->body, name))
            json_write_null(&c->w);
        else
            json_write_value(&c->w, json_value(m));
    }
    json_object_end(&c->w);
}

static bool is_in_secret(const struct check *c)
{
    for (unsigned i = 0; i < c->depth; i++) {
        if (is_secret_member(c->body, c->places[i].name))
            return true;
    }
    return false;
}

/* What was refused: a node, or the text of a query or path parameter. */
struct input {
    const struct json *json;
    struct str text;
    bool is_enclosing; /* json is the object that a member is missing in */
};

static void write_input(struct check *c, const struct input *in)
{
    struct str raw = in->json != NULL ? json_raw(in->json) : in->text;

    json_key_write(&c->w, STR("input"));
    if (str_is_none(raw) || !echo_is_affordable(c, raw.n) || (is_in_secret(c) && !in->is_enclosing))
        json_write_null(&c->w);
    else if (in->json == NULL)
        json_write_str(&c->w, in->text);
    else if (in->is_enclosing)
        write_object(c, in->json);
    else
        json_write_value(&c->w, in->json);
}

static void write_error(struct check *c, const char *type, const struct input *in, struct str ctx,
                        struct str msg)
{
    if (c->errors++ >= CHECK_ERRORS_MAX)
        return;
    json_object_begin(&c->w);
    json_field_str(&c->w, STR("type"), str_from(type));
    write_loc(c);
    json_field_str(&c->w, STR("msg"), msg);
    write_input(c, in);
    if (!str_is_none(ctx))
        json_field_raw(&c->w, STR("ctx"), ctx);
    json_object_end(&c->w);
}

PRINTF_LIKE(5, 6)
static void refuse(struct check *c, const char *type, const struct input *in, struct str ctx, const char *msg,
                   ...)
{
    va_list args;

    va_start(args, msg);
    write_error(c, type, in, ctx, arena_vstrf(c->arena, msg, args));
    va_end(args);
}

void check_error(struct check *c, const char *type, const struct json *input, struct str ctx, const char *msg,
                 ...)
{
    va_list args;

    va_start(args, msg);
    write_error(c, type, &(struct input){.json = input}, ctx, arena_vstrf(c->arena, msg, args));
    va_end(args);
}

void check_rule(struct check *c, const struct json *input, const char *text, ...)
{
    va_list args;
    struct str reason;

    va_start(args, text);
    reason = arena_vstrf(c->arena, text, args);
    va_end(args);
    check_error(c, "value_error", input, STR("{\"error\":{}}"), "Value error, " STR_FMT, STR_ARG(reason));
}

static void refuse_scalar(struct check *c, const struct input *in, const struct scalar_error *e)
{
    struct str ctx = STR_NONE;

    if (e->ctx_key != NULL)
        ctx = arena_strf(c->arena, "{\"%s\":\"%s\"}", e->ctx_key, e->reason);
    refuse(c, e->type, in, ctx, "%s", e->msg);
}

static struct str quoted(struct check *c, const char *text)
{
    struct buf out;

    buf_init_arena(&out, c->arena);
    json_quote(&out, str_from(text));
    return buf_str(&out);
}

/* Text. */

static bool text_is_within(struct check *c, const struct column *col, struct str s, const struct input *in)
{
    size_t n = col->min != 0 || col->max != 0 ? str_utf8_length(s) : 0;

    if (n < col->min) {
        refuse(c, "string_too_short", in, arena_strf(c->arena, "{\"min_length\":%zu}", col->min),
               "String should have at least %zu character%s", col->min, col->min == 1 ? "" : "s");
        return false;
    }
    if (col->max != 0 && n > col->max) {
        refuse(c, "string_too_long", in, arena_strf(c->arena, "{\"max_length\":%zu}", col->max),
               "String should have at most %zu character%s", col->max, col->max == 1 ? "" : "s");
        return false;
    }
    return true;
}

static bool text_passes(struct check *c, const struct column *col, struct str s, const struct input *in)
{
    if (str_find_byte(s, '\0') >= 0) {
        refuse(c, "value_error", in, STR("{\"error\":{}}"),
               "Value error, text must not contain NUL characters");
        return false;
    }
    if (!text_is_within(c, col, s, in))
        return false;
    if (col->pattern != NULL && !pattern_matches(col->pattern, s)) {
        struct str pattern = quoted(c, col->pattern);

        refuse(c, "string_pattern_mismatch", in,
               arena_strf(c->arena, "{\"pattern\":" STR_FMT "}", STR_ARG(pattern)),
               "String should match pattern '%s'", col->pattern);
        return false;
    }
    return true;
}

/* 'a', 'b' or 'c' */
static struct str choices_text(struct check *c, const char *choices)
{
    struct str rest = str_from(choices);
    struct buf out;

    buf_init_arena(&out, c->arena);
    while (!str_is_none(rest)) {
        struct str choice = str_cut(&rest, '|');

        if (buf_size(&out) != 0)
            buf_add(&out, str_is_none(rest) ? STR(" or ") : STR(", "));
        buf_addf(&out, "'" STR_FMT "'", STR_ARG(choice));
    }
    return buf_str(&out);
}

static bool choice_passes(struct check *c, const struct column *col, struct str *s, const struct input *in)
{
    struct str rest = str_from(col->choices), expected;

    while (!str_is_none(rest)) {
        struct str choice = str_cut(&rest, '|');

        if (str_eq(choice, *s) || ((col->flags & COL_ANY_CASE) && str_ieq(choice, *s))) {
            *s = choice;
            return true;
        }
    }
    expected = choices_text(c, col->choices);
    refuse(c, "literal_error", in, arena_strf(c->arena, "{\"expected\":\"" STR_FMT "\"}", STR_ARG(expected)),
           "Input should be " STR_FMT, STR_ARG(expected));
    return false;
}

/* Numbers. */

struct bound {
    const char *value;
    const char *type, *key, *words;
    bool is_broken;
};

static bool bounds_pass(struct check *c, const struct bound *bounds, size_t count, const struct input *in)
{
    for (size_t i = 0; i < count; i++) {
        const struct bound *b = &bounds[i];

        if (b->value == NULL || !b->is_broken)
            continue;
        refuse(c, b->type, in, arena_strf(c->arena, "{\"%s\":%s}", b->key, b->value), "Input should be %s %s",
               b->words, b->value);
        return false;
    }
    return true;
}

static int64_t bound_i64(const char *text)
{
    int64_t n = 0;
    int rc = str_to_i64(str_from(text), &n);

    assert(text == NULL || rc == 0);
    (void)rc;
    return n;
}

static bool i64_passes(struct check *c, const struct column *col, int64_t n, const struct input *in)
{
    bool is_short = col->type == COL_INT;
    const char *le = col->le != NULL ? col->le : is_short ? "2147483647" : NULL;
    const char *ge = col->ge != NULL ? col->ge : is_short && col->gt == NULL ? "-2147483648" : NULL;
    const struct bound bounds[] = {
        {le, "less_than_equal", "le", "less than or equal to", n > bound_i64(le)},
        {col->lt, "less_than", "lt", "less than", n >= bound_i64(col->lt)},
        {ge, "greater_than_equal", "ge", "greater than or equal to", n < bound_i64(ge)},
        {col->gt, "greater_than", "gt", "greater than", n <= bound_i64(col->gt)},
    };

    return bounds_pass(c, bounds, nelem(bounds), in);
}

static double bound_double(const char *text)
{
    return text != NULL ? strtod(text, NULL) : 0;
}

static bool double_passes(struct check *c, const struct column *col, double n, const struct input *in)
{
    const struct bound bounds[] = {
        {col->le, "less_than_equal", "le", "less than or equal to", n > bound_double(col->le)},
        {col->lt, "less_than", "lt", "less than", n >= bound_double(col->lt)},
        {col->ge, "greater_than_equal", "ge", "greater than or equal to", n < bound_double(col->ge)},
        {col->gt, "greater_than", "gt", "greater than", n <= bound_double(col->gt)},
    };

    return bounds_pass(c, bounds, nelem(bounds), in);
}

/* The text of a number as it came; in the shortest form where it is no JSON number, or of a size that numeric
 * has not. */
static struct str number_text(struct arena *a, struct str raw, double n)
{
    struct buf out;
    struct json_writer w;

    if (!str_is_none(raw) && raw.n <= NUMBER_TEXT_MAX && str_find_byte(raw, 'e') < 0 &&
        str_find_byte(raw, 'E') < 0)
        return raw;
    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_write_double(&w, n);
    return buf_str(&out);
}

/* Scalars that are parsed: from JSON or from the text of a query. */

static bool convert_int(struct check *c, const struct column *col, const struct input *in, struct str *text)
{
    const struct scalar_error *e = NULL;
    int64_t n = 0;
    int rc = in->json != NULL ? scalar_json_i64(in->json, &n, &e) : scalar_str_i64(in->text, &n, &e);

    if (rc < 0)
        refuse_scalar(c, in, e);
    if (rc < 0 || !i64_passes(c, col, n, in))
        return false;
    *text = arena_strf(c->arena, "%" PRId64, n);
    return true;
}

static bool convert_number(struct check *c, const struct column *col, const struct input *in,
                           struct str *text)
{
    const struct scalar_error *e = NULL;
    double n = 0;
    int rc = in->json != NULL ? scalar_json_double(in->json, &n, &e) : scalar_str_double(in->text, &n, &e);

    if (rc < 0)
        refuse_scalar(c, in, e);
    if (rc < 0 || !double_passes(c, col, n, in))
        return false;
    *text = number_text(c->arena, json_is(in->json, JSON_NUMBER) ? json_raw(in->json) : STR_NONE, n);
    return true;
}

static bool convert_bool(struct check *c, const struct column *col UNUSED, const struct input *in,
                         struct str *text)
{
    const struct scalar_error *e = NULL;
    bool is_true = false;
    int rc =
        in->json != NULL ? scalar_json_bool(in->json, &is_true, &e) : scalar_str_bool(in->text, &is_true, &e);

    if (rc < 0)
        refuse_scalar(c, in, e);
    *text = is_true ? STR("t") : STR("f");
    return rc == 0;
}

static bool convert_uuid(struct check *c, const struct column *col UNUSED, const struct input *in,
                         struct str *text)
{
    const struct scalar_error *e = NULL;
    struct uuid u;
    int rc = in->json != NULL ? scalar_json_uuid(in->json, &u, &e) : scalar_str_uuid(in->text, &u, &e);

    if (rc < 0) {
        refuse_scalar(c, in, e);
        return false;
    }
    *text = uuid_text(c->arena, &u);
    return true;
}

static bool convert_time(struct check *c, const struct column *col UNUSED, const struct input *in,
                         struct str *text)
{
    const struct scalar_error *e = NULL;
    char out[CLOCK_TEXT_SIZE];
    int64_t us = 0;
    int rc = in->json != NULL ? scalar_json_time(in->json, &us, &e) : scalar_str_time(in->text, &us, &e);

    if (rc < 0) {
        refuse_scalar(c, in, e);
        return false;
    }
    *text = arena_str(c->arena, clock_text(out, us));
    return true;
}

static bool convert_email(struct check *c, const struct column *col, const struct input *in, struct str *text)
{
    const struct scalar_error *e = NULL;
    int rc = in->json != NULL ? scalar_json_email(c->arena, in->json, text, &e)
                              : scalar_str_email(c->arena, in->text, text, &e);

    if (rc < 0)
        refuse_scalar(c, in, e);
    return rc == 0 && text_passes(c, col, *text, in);
}

static bool convert_text(struct check *c, const struct column *col, const struct input *in, struct str *text)
{
    if (in->json != NULL && !json_is(in->json, JSON_STRING)) {
        refuse(c, "string_type", in, STR_NONE, "Input should be a valid string");
        return false;
    }
    *text = in->json != NULL ? json_text(in->json) : in->text;
    return text_passes(c, col, *text, in);
}

static bool convert_enum(struct check *c, const struct column *col, const struct input *in, struct str *text)
{
    *text = in->json != NULL ? json_text(in->json) : in->text;
    return choice_passes(c, col, text, in);
}

/* Documents. */

/* Whether some string or name in valid JSON has an escaped NUL, which no text of PostgreSQL can hold. */
static bool json_has_nul(struct str raw)
{
    ssize_t at;

    while ((at = str_find_byte(raw, '\\')) >= 0) {
        raw = str_from_offset(raw, (size_t)at);
        if (str_starts(raw, STR("\\u0000")))
            return true;
        raw = str_from_offset(raw, 2); /* what is escaped may be a backslash */
    }
    return false;
}

static bool convert_document(struct check *c, const struct input *in, struct str *text)
{
    struct buf out;
    struct json_writer w;

    if (json_has_nul(json_raw(in->json))) {
        refuse(c, "value_error", in, STR("{\"error\":{}}"),
               "Value error, text must not contain NUL characters");
        return false;
    }
    *text = json_raw(in->json);
    if (text->n > CHECK_COMPACT_MAX)
        return true;
    buf_init_arena(&out, c->arena);
    json_write_init(&w, &out);
    json_write_value(&w, in->json);
    *text = buf_str(&out);
    return true;
}

static bool object_passes(struct check *c, const struct column *col, const struct input *in)
{
    unsigned before = c->errors;

    if (json_is(in->json, JSON_OBJECT)) {
        if (col->shape != NULL)
            (void)check_object(c, col->shape, in->json);
        return c->errors == before;
    }
    if (col->shape != NULL)
        refuse(c, "model_attributes_type", in, STR_NONE,
               "Input should be a valid dictionary or object to extract fields from");
    else
        refuse(c, "dict_type", in, STR_NONE, "Input should be a valid dictionary");
    return false;
}

static bool count_passes(struct check *c, const struct column *col, const struct input *in)
{
    size_t n = json_count(in->json);
    bool is_short = n < col->min;
    size_t bound = is_short ? col->min : col->max;

    if (!is_short && (col->max == 0 || n <= col->max))
        return true;
    refuse(c, is_short ? "too_short" : "too_long", in,
           arena_strf(c->arena, "{\"field_type\":\"List\",\"%s\":%zu,\"actual_length\":%zu}",
                      is_short ? "min_length" : "max_length", bound, n),
           "List should have at %s %zu item%s after validation, not %zu", is_short ? "least" : "most", bound,
           bound == 1 ? "" : "s", n);
    return false;
}

static bool array_passes(struct check *c, const struct column *col, const struct input *in)
{
    static const struct column text_item = {"", COL_TEXT};
    const struct column *item = col->item != NULL ? col->item : col->type == COL_TEXTS ? &text_item : NULL;
    unsigned before = c->errors;
    size_t index = 0;

    if (!json_is(in->json, JSON_ARRAY)) {
        refuse(c, "list_type", in, STR_NONE, "Input should be a valid list");
        return false;
    }
    if (!count_passes(c, col, in))
        return false;
    json_each (v, in->json) {
        if (item == NULL || c->errors >= CHECK_ERRORS_MAX)
            break;
        check_enter_index(c, index++);
        (void)check_value(c, item, v);
        check_leave(c);
    }
    return c->errors == before;
}

static bool convert_object(struct check *c, const struct column *col, const struct input *in,
                           struct str *text)
{
    return object_passes(c, col, in) && convert_document(c, in, text);
}

static bool convert_array(struct check *c, const struct column *col, const struct input *in, struct str *text)
{
    return array_passes(c, col, in) && convert_document(c, in, text);
}

static bool convert_any(struct check *c, const struct column *col UNUSED, const struct input *in,
                        struct str *text)
{
    return convert_document(c, in, text);
}

/* One value. */

static bool (*const converts[])(struct check *c, const struct column *col, const struct input *in,
                                struct str *text) = {
    [COL_TEXT] = convert_text,     [COL_INT] = convert_int,     [COL_BIGINT] = convert_int,
    [COL_NUMBER] = convert_number, [COL_BOOL] = convert_bool,   [COL_UUID] = convert_uuid,
    [COL_TIME] = convert_time,     [COL_EMAIL] = convert_email, [COL_ENUM] = convert_enum,
    [COL_OBJECT] = convert_object, [COL_ARRAY] = convert_array, [COL_TEXTS] = convert_array,
    [COL_ANY] = convert_any,
};

/* A JSON null that is a value leaves STR_NONE. */
static bool check_convert(struct check *c, const struct column *col, const struct json *v, struct str *text)
{
    const struct input in = {.json = v};
    unsigned before = c->errors;

    *text = STR_NONE;
    if ((col->flags & COL_NULLABLE) && json_is(v, JSON_NULL))
        return true;
    if (!converts[col->type](c, col, &in, text))
        return false;
    if (col->check != NULL)
        col->check(c, v);
    if (c->errors != before)
        return false;
    if (col->normal != NULL)
        *text = col->normal(c->arena, v);
    return true;
}

bool check_value(struct check *c, const struct column *col, const struct json *v)
{
    struct str text;

    return check_convert(c, col, v, &text);
}

void check_http_url(struct check *c, const struct json *v)
{
    static const char *const url =
        "^[hH][tT][tT][pP][sS]?://[^\\x00-\\x20\\x7f/?#@\\\\][^\\x00-\\x20\\x7f\\\\]*$";

    if (!pattern_matches(url, json_text(v)))
        check_rule(c, v, "must be an http or https URL");
}

bool check_text(struct check *c, const struct column *col, struct str text, struct value *v)
{
    const struct input in = {.text = text};

    assert(col->type <= COL_ENUM && col->check == NULL && col->normal == NULL);
    *v = (struct value){.column = col, .is_given = true, .is_set = true};
    return converts[col->type](c, col, &in, &v->text);
}

/* Objects. */

static bool column_is_taken(const struct body *b, const struct column *col)
{
    unsigned ignored = COL_READ_ONLY | (b->flags & BODY_PARTIAL ? COL_CREATE_ONLY : COL_UPDATE_ONLY);

    return (col->flags & ignored) == 0;
}

void check_fallback(struct check *c, struct value *v)
{
    struct json_error error;
    int rc = json_parse(c->arena, str_from(v->column->fallback), &v->json, &error);

    assert(rc == 0); /* a constant; the unit tests read all of them */
    if (rc == 0)
        v->is_set = check_convert(c, v->column, v->json, &v->text);
}

static void check_absent(struct check *c, const struct body *b, struct value *v, const struct json *object)
{
    const struct column *col = v->column;

    if (b->flags & BODY_PARTIAL)
        return;
    if (col->flags & COL_REQUIRED) {
        check_enter(c, col->name);
        refuse(c, "missing", &(struct input){.json = object, .is_enclosing = true}, STR_NONE,
               "Field required");
        check_leave(c);
    } else if (col->fallback != NULL) {
        check_fallback(c, v);
    }
}

/* Null on a column that cannot be null means "unchanged" in an update, as an empty secret does. */
static bool means_unchanged(const struct body *b, const struct column *col, const struct json *given)
{
    if (!(b->flags & BODY_PARTIAL))
        return false;
    if (json_is(given, JSON_NULL))
        return (col->flags & COL_NULLABLE) == 0;
    return (col->flags & COL_SECRET) && json_text(given).n == 0 && json_is(given, JSON_STRING);
}

static void check_member(struct check *c, const struct body *b, struct value *v, const struct json *object)
{
    const struct column *col = v->column;
    const struct json *given = json_get(object, str_from(col->name));

    if (!column_is_taken(b, col) || (given != NULL && means_unchanged(b, col, given)))
        return;
    if (given == NULL) {
        check_absent(c, b, v, object);
        return;
    }
    v->json = given;
    v->is_given = v->is_set = true;
    check_enter(c, col->name);
    (void)check_convert(c, col, given, &v->text);
    check_leave(c);
    if ((col->flags & COL_SECRET) && v->text.n == 0)
        v->text = STR_NONE;
}

struct values *check_object(struct check *c, const struct body *b, const struct json *object)
{
    struct values *values = arena_alloc(c->arena, sizeof(*values));
    const struct body *outer = c->body;
    unsigned before = c->errors;

    assert(json_is(object, JSON_OBJECT));
    values->count = b->columns_count;
    values->items = arena_zalloc(c->arena, b->columns_count * sizeof(values->items[0]) + 1);
    c->body = b;
    for (size_t i = 0; i < b->columns_count; i++) {
        values->items[i].column = &b->columns[i];
        check_member(c, b, &values->items[i], object);
    }
    if (b->check != NULL && c->errors == before)
        b->check(c, object);
    c->body = outer;
    return values;
}
