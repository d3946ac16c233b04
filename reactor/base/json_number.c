/*
 * Numbers: their text is the truth. Comparisons are exact for any size;
 * conversions say when they cannot be.
 */
#include "base/json.h"

#include "base/json_node.h"

#include <math.h>

enum {
    EXPONENT_DIGITS_MAX = 17, /* longer ones saturate, far from all that can be written out */
    DOUBLE_DIGITS = 770,      /* decide any double when a last 1 stands for what was cut */
    DOUBLE_EXPONENT_MAX = 2000,
    I64_DIGITS_MAX = 19,
    FAST_DIGITS_MAX = 15, /* numbers below 2^53, and powers of ten that are exact */
    FAST_POWER_MAX = 22,
};

/* ---- Decimals ---- */

static int64_t exponent_read(struct str s)
{
    bool is_negative = s.n > 0 && s.p[0] == '-';
    int64_t value = 0;

    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from_offset(s, 1);
    while (s.n > 1 && s.p[0] == '0')
        s = str_from_offset(s, 1);
    for (size_t i = 0; i < s.n && i < EXPONENT_DIGITS_MAX; i++)
        value = value * 10 + (s.p[i] - '0');
    if (s.n > EXPONENT_DIGITS_MAX)
        value = INT64_MAX / 4;
    return is_negative ? -value : value;
}

static const char *exponent_find(struct str number)
{
    const char *at = memchr(number.p, 'e', number.n);

    return at != NULL ? at : memchr(number.p, 'E', number.n);
}

/* The power of ten of the digit at at, when the dot is, or would be, at dot. */
static int64_t digit_place(const char *at, const char *dot)
{
    return at < dot ? dot - at - 1 : dot - at;
}

void json_decimal_read(struct json_decimal *d, struct str number)
{
    const char *end = number.p + number.n, *mark = exponent_find(number), *dot, *first, *last;
    int64_t exponent = mark != NULL ? exponent_read(str_of(mark + 1, (size_t)(end - mark - 1))) : 0;

    *d = (struct json_decimal){.digits = STR("")};
    end = mark != NULL ? mark : end;
    first = number.p + (number.p[0] == '-');
    dot = memchr(first, '.', (size_t)(end - first));
    while (first < end && (*first == '0' || *first == '.'))
        first++;
    if (first == end)
        return; /* -0 equals 0 */
    for (last = end - 1; *last == '0' || *last == '.';)
        last--;
    dot = dot != NULL ? dot : end;
    d->is_negative = number.p[0] == '-';
    d->digits = str_of(first, (size_t)(last + 1 - first));
    d->exponent = digit_place(last, dot);
    d->count = (size_t)(digit_place(first, dot) - d->exponent + 1);
    d->exponent += exponent;
}

static int digits_compare(struct str a, struct str b)
{
    size_t i = 0, j = 0;

    for (;; i++, j++) {
        i += i < a.n && a.p[i] == '.';
        j += j < b.n && b.p[j] == '.';
        if (i >= a.n || j >= b.n)
            return (i < a.n) - (j < b.n);
        if (a.p[i] != b.p[j])
            return a.p[i] < b.p[j] ? -1 : 1;
    }
}

int json_decimal_compare(const struct json_decimal *a, const struct json_decimal *b)
{
    int sign_a = a->count == 0 ? 0 : a->is_negative ? -1 : 1;
    int sign_b = b->count == 0 ? 0 : b->is_negative ? -1 : 1;
    int64_t top_a = a->exponent + (int64_t)a->count, top_b = b->exponent + (int64_t)b->count;

    if (sign_a != sign_b)
        return sign_a < sign_b ? -1 : 1;
    if (top_a != top_b)
        return top_a < top_b ? -sign_a : sign_a;
    return sign_a * digits_compare(a->digits, b->digits);
}

/* ---- Conversions ---- */

int json_i64(const struct json *v, int64_t *value)
{
    struct json_decimal d;
    char digits[I64_DIGITS_MAX + 1];
    size_t n = 0;

    if (!json_is(v, JSON_NUMBER))
        return -EINVAL;
    if ((v->info & JSON_FLAG) == 0)
        return str_to_i64(json_raw(v), value);
    json_decimal_read(&d, json_raw(v));
    if (d.exponent < 0)
        return -EINVAL;
    if ((int64_t)d.count + d.exponent > I64_DIGITS_MAX)
        return -ERANGE;
    if (d.is_negative)
        digits[n++] = '-';
    for (size_t i = 0; i < d.digits.n; i++) {
        if (d.digits.p[i] != '.')
            digits[n++] = d.digits.p[i];
    }
    for (int64_t i = 0; i < d.exponent; i++)
        digits[n++] = '0';
    return str_to_i64(d.count != 0 ? str_of(digits, n) : STR("0"), value);
}

/* Exact: both the digits and the power of ten are doubles without rounding. */
static bool double_fast(const struct json_decimal *d, double *value)
{
    static const double powers[FAST_POWER_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    int64_t whole = 0;

    if (d->count > FAST_DIGITS_MAX || d->exponent < -FAST_POWER_MAX || d->exponent > FAST_POWER_MAX)
        return false;
    for (size_t i = 0; i < d->digits.n; i++) {
        if (d->digits.p[i] != '.')
            whole = whole * 10 + (d->digits.p[i] - '0');
    }
    *value = d->exponent < 0 ? (double)whole / powers[-d->exponent] : (double)whole * powers[d->exponent];
    return true;
}

/* By strtod(), from digits and an exponent without a dot, which no locale changes. */
static double double_slow(const struct json_decimal *d)
{
    char text[DOUBLE_DIGITS + 32];
    size_t n = 0;
    int64_t exponent;

    for (size_t i = 0; i < d->digits.n && n < DOUBLE_DIGITS; i++) {
        if (d->digits.p[i] != '.')
            text[n++] = d->digits.p[i];
    }
    exponent = d->exponent + (int64_t)(d->count - n);
    if (n < d->count) { /* the last digit is never zero: something was cut */
        text[n++] = '1';
        exponent--;
    }
    if (exponent > DOUBLE_EXPONENT_MAX)
        exponent = DOUBLE_EXPONENT_MAX;
    if (exponent < -DOUBLE_EXPONENT_MAX)
        exponent = -DOUBLE_EXPONENT_MAX;
    (void)snprintf(text + n, sizeof(text) - n, "e%d", (int)exponent);
    return strtod(text, NULL);
}

int json_double(const struct json *v, double *value)
{
    struct json_decimal d;

    if (!json_is(v, JSON_NUMBER))
        return -EINVAL;
    json_decimal_read(&d, json_raw(v));
    if (!double_fast(&d, value))
        *value = double_slow(&d);
    if (v->p[0] == '-')
        *value = -*value;
    return 0;
}

/* ---- Writing ---- */

/* printf's exponents have a '+' and at least two digits. */
static void exponent_shorten(struct buf *out, const char *text)
{
    const char *mark = strchr(text, 'e');

    if (mark == NULL) {
        buf_add(out, str_from(text));
        return;
    }
    buf_add(out, str_of(text, (size_t)(mark + 1 - text)));
    mark++;
    if (*mark == '-')
        buf_add_byte(out, '-');
    mark++;
    while (*mark == '0')
        mark++;
    buf_add(out, str_from(mark));
}

void json_number_write(struct buf *out, double n)
{
    char text[40];
    /* Up to 15 digits survive the way through a normal double, so the shortest has 15 or more or lost zeros.
     */
    int precision = fabs(n) < 0x1p-1022 ? 1 : 15;

    if (n == 0) {
        buf_add(out, signbit(n) ? STR("-0") : STR("0"));
        return;
    }
    do
        (void)snprintf(text, sizeof(text), "%.*g", precision, n);
    while (strtod(text, NULL) != n && ++precision <= 17);
    exponent_shorten(out, text);
}
