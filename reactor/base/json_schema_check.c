/* The operations that look at one value only and need no other schema. */
#include "base/json_schema_run.h"

/* ---- Any value ---- */

static bool is_whole(const struct json *v)
{
    struct json_decimal d;

    if ((v->info & JSON_FLAG) == 0)
        return true;
    json_decimal_read(&d, json_raw(v));
    return d.exponent >= 0;
}

int schema_check_type(struct validation *v, struct frame *f, const struct op *op)
{
    struct buf names;

    if ((op->types >> json_type(f->value) & 1) != 0)
        return DONE;
    if ((op->types & SCHEMA_TYPE_INTEGER) != 0 && json_is(f->value, JSON_NUMBER) && is_whole(f->value))
        return DONE;
    if (f->is_quiet)
        return FAILED;
    if (!json_is(op->source, JSON_ARRAY))
        return schema_fail_against(v, f, "is not of type", op->source);
    buf_init_arena(&names, v->arena);
    json_each (name, op->source) {
        buf_add(&names, buf_size(&names) != 0 ? STR(", ") : STR(""));
        buf_add(&names, schema_repr(v->arena, name));
    }
    return schema_fail_frame(v, f, STR_FMT " is not of type " STR_FMT,
                             STR_ARG(schema_repr(v->arena, f->value)), STR_ARG(buf_str(&names)));
}

static bool is_equal(struct validation *v, const struct json *a, const struct json *b)
{
    v->steps++;
    return json_compare(a, b, &v->steps) == 0;
}

int schema_check_enum(struct validation *v, struct frame *f, const struct op *op)
{
    json_each (allowed, op->value) {
        if (is_equal(v, allowed, f->value))
            return DONE;
        if (v->steps > JSON_SCHEMA_STEPS_MAX)
            return FAILED;
    }
    return schema_fail_against(v, f, "is not one of", op->source);
}

int schema_check_const(struct validation *v, struct frame *f, const struct op *op)
{
    if (is_equal(v, op->value, f->value))
        return DONE;
    if (f->is_quiet)
        return FAILED;
    return schema_fail_frame(v, f, STR_FMT " was expected", STR_ARG(schema_repr(v->arena, op->source)));
}

/* ---- Numbers ---- */

/* <0, 0, >0 as the value is less than, equal to or greater than the keyword's. */
static int compare(struct validation *v, const struct frame *f, const struct op *op)
{
    struct json_decimal d;

    v->steps += json_raw(f->value).n / 64;
    json_decimal_read(&d, json_raw(f->value));
    return json_decimal_compare(&d, &op->number->decimal);
}

int schema_check_minimum(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_NUMBER) || compare(v, f, op) >= 0)
        return DONE;
    return schema_fail_against(v, f, "is less than the minimum of", op->source);
}

int schema_check_maximum(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_NUMBER) || compare(v, f, op) <= 0)
        return DONE;
    return schema_fail_against(v, f, "is greater than the maximum of", op->source);
}

int schema_check_exclusive_minimum(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_NUMBER) || compare(v, f, op) > 0)
        return DONE;
    return schema_fail_against(v, f, "is less than or equal to the minimum of", op->source);
}

int schema_check_exclusive_maximum(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_NUMBER) || compare(v, f, op) < 0)
        return DONE;
    return schema_fail_against(v, f, "is greater than or equal to the maximum of", op->source);
}

static uint64_t multiply_modulo(uint64_t a, uint64_t b, uint64_t divisor)
{
    return (uint64_t)((unsigned __int128)a * b % divisor);
}

/* digits × 10^zeros modulo the divisor, which is at least 1. */
static uint64_t decimal_modulo(struct str digits, uint64_t zeros, uint64_t divisor)
{
    uint64_t rest = 0, power = 10 % divisor;

    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] != '.')
            rest = (multiply_modulo(rest, 10, divisor) + (uint64_t)(digits.p[i] - '0')) % divisor;
    }
    for (; zeros != 0; zeros >>= 1) {
        if ((zeros & 1) != 0)
            rest = multiply_modulo(rest, power, divisor);
        power = multiply_modulo(power, power, divisor);
    }
    return rest;
}

/* Exact: neither side has trailing zeros, so a divisor with the higher exponent never fits. */
static bool is_multiple(const struct json_decimal *value, const struct json_decimal *divisor)
{
    uint64_t whole = 0;

    if (value->count == 0)
        return true;
    if (value->exponent < divisor->exponent)
        return false;
    for (size_t i = 0; i < divisor->digits.n; i++) {
        if (divisor->digits.p[i] != '.')
            whole = whole * 10 + (uint64_t)(divisor->digits.p[i] - '0');
    }
    return decimal_modulo(value->digits, (uint64_t)(value->exponent - divisor->exponent), whole) == 0;
}

int schema_check_multiple_of(struct validation *v, struct frame *f, const struct op *op)
{
    struct json_decimal d;

    if (!json_is(f->value, JSON_NUMBER))
        return DONE;
    v->steps += json_raw(f->value).n / 4;
    json_decimal_read(&d, json_raw(f->value));
    if (is_multiple(&d, &op->number->decimal))
        return DONE;
    return schema_fail_against(v, f, "is not a multiple of", op->source);
}

/* ---- Strings ---- */

static int64_t text_length(struct validation *v, const struct frame *f)
{
    struct str text = json_text(f->value);

    v->steps += text.n / 64;
    return (int64_t)str_utf8_length(text);
}

int schema_check_min_length(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_STRING) || text_length(v, f) >= op->limit)
        return DONE;
    return schema_fail_value(v, f, "is too short");
}

int schema_check_max_length(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_STRING) || text_length(v, f) <= op->limit)
        return DONE;
    return schema_fail_value(v, f, "is too long");
}

/* What takes too long does not match. */
bool schema_pattern_matches(struct validation *v, const struct op_pattern *pattern, struct str text)
{
    struct regex_match match;
    int rc = regex_search(pattern->regex, text, 0, &match);

    v->steps += 4 + match.steps / 2;
    return rc > 0;
}

int schema_check_pattern(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_STRING) || schema_pattern_matches(v, op->pattern, json_text(f->value)))
        return DONE;
    return schema_fail_against(v, f, "does not match", op->source);
}

int schema_check_format(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_STRING))
        return DONE;
    v->steps += json_raw(f->value).n / 16;
    if (op->format->is_valid(json_text(f->value)))
        return DONE;
    return schema_fail_against(v, f, "is not a", op->source);
}

/* ---- Sizes ---- */

int schema_check_min_items(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_ARRAY) || (int64_t)json_count(f->value) >= op->limit)
        return DONE;
    return schema_fail_value(v, f, "is too short");
}

int schema_check_max_items(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_ARRAY) || (int64_t)json_count(f->value) <= op->limit)
        return DONE;
    return schema_fail_value(v, f, "is too long");
}

/* Merges two sorted runs that lie behind each other; false when there were equal items or it took too long.
 */
static bool runs_merge(struct validation *v, const struct json **from, size_t left, size_t right,
                       const struct json **to)
{
    size_t i = 0, j = left, end = left + right;

    while (i < left && j < end) {
        int order = json_compare(from[i], from[j], &v->steps);

        if (order == 0 || v->steps > JSON_SCHEMA_STEPS_MAX)
            return false;
        *to++ = order < 0 ? from[i++] : from[j++];
    }
    memcpy(to, from + i, (left - i) * sizeof(*to));
    memcpy(to + (left - i), from + j, (end - j) * sizeof(*to));
    return true;
}

/* By merge sort: equal items meet, and it can be left at any time. */
static bool is_unique(struct validation *v, const struct json **items, const struct json **other, size_t n)
{
    for (size_t run = 1; run < n; run *= 2) {
        const struct json **swap = items;

        for (size_t i = 0; i < n; i += 2 * run) {
            size_t left = n - i < run ? n - i : run, rest = n - i - left, right = rest < run ? rest : run;

            if (!runs_merge(v, items + i, left, right, other + i))
                return false;
        }
        items = other;
        other = swap;
    }
    return true;
}

int schema_check_unique_items(struct validation *v, struct frame *f, const struct op *op UNUSED)
{
    const struct json **items;
    size_t n = json_count(f->value), i = 0;
    bool unique;

    if (!json_is(f->value, JSON_ARRAY) || n < 2)
        return DONE;
    v->steps += n;
    items = mem_alloc(2 * n * sizeof(const struct json *));
    json_each (item, f->value)
        items[i++] = item;
    unique = is_unique(v, items, items + n, n);
    free(items);
    return unique ? DONE : schema_fail_value(v, f, "has non-unique elements");
}

/* Members with different names. */
static int64_t member_count(struct validation *v, const struct json *object)
{
    v->steps += json_count(object);
    return (int64_t)json_count_names(object);
}

int schema_check_min_properties(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_OBJECT) || op->limit == 0 || member_count(v, f->value) >= op->limit)
        return DONE;
    return schema_fail_value(v, f, "does not have enough properties");
}

int schema_check_max_properties(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_OBJECT) || (int64_t)json_count(f->value) <= op->limit ||
        member_count(v, f->value) <= op->limit)
        return DONE;
    return schema_fail_value(v, f, "has too many properties");
}
