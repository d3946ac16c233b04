/*
 * Times are computed in exact integers: a number keeps its text until its
 * digits are microseconds. Numbers beyond ±2e10 count as milliseconds.
 */
#include "base/scalar.h"

enum {
    SCALAR_TEXT_MAX = 512, /* no number or time is longer */
    EMAIL_MAX = 254,
    EMAIL_LOCAL_MAX = 64,
    EMAIL_LABEL_MAX = 63
};

#define MICRO          INT64_C(1000000)
#define TIME_WATERSHED INT64_C(20000000000)            /* numbers above are milliseconds */
#define TIME_LEAST     (INT64_C(-62135596800) * MICRO) /* 0001-01-01 */
#define TIME_MOST      (INT64_C(253402300800) * MICRO - 1)

#define PARSING(type_name, what, why)                                                                        \
    {                                                                                                        \
        type_name, what ", " why, "error", why                                                               \
    }
#define TIME_ERROR(why) PARSING("datetime_from_date_parsing", "Input should be a valid datetime or date", why)
#define UUID_ERROR(why) PARSING("uuid_parsing", "Input should be a valid UUID", why)
#define EMAIL_ERROR(why)                                                                                     \
    {                                                                                                        \
        "value_error", "value is not a valid email address: " why, "reason", why                             \
    }

static const struct scalar_error int_type = {"int_type", "Input should be a valid integer", NULL, NULL};
static const struct scalar_error int_parsing = {
    "int_parsing", "Input should be a valid integer, unable to parse string as an integer", NULL, NULL};
static const struct scalar_error int_parsing_size = {
    "int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size", NULL, NULL};
static const struct scalar_error int_from_float = {
    "int_from_float", "Input should be a valid integer, got a number with a fractional part", NULL, NULL};
static const struct scalar_error float_type = {"float_type", "Input should be a valid number", NULL, NULL};
static const struct scalar_error float_parsing = {
    "float_parsing", "Input should be a valid number, unable to parse string as a number", NULL, NULL};
static const struct scalar_error float_finite = {"finite_number", "Input should be a finite number", NULL,
                                                 NULL};
static const struct scalar_error bool_type = {"bool_type", "Input should be a valid boolean", NULL, NULL};
static const struct scalar_error bool_parsing = {
    "bool_parsing", "Input should be a valid boolean, unable to interpret input", NULL, NULL};
static const struct scalar_error uuid_type = {
    "uuid_type", "UUID input should be a string, bytes or UUID object", NULL, NULL};
static const struct scalar_error uuid_length =
    UUID_ERROR("invalid length: expected length 32 for simple format");
static const struct scalar_error uuid_character = UUID_ERROR("invalid character or group length");
static const struct scalar_error time_type = {"datetime_type", "Input should be a valid datetime", NULL,
                                              NULL};
static const struct scalar_error time_short = TIME_ERROR("input is too short");
static const struct scalar_error time_date = TIME_ERROR("invalid character in date");
static const struct scalar_error time_day = TIME_ERROR("day value is outside expected range");
static const struct scalar_error time_clock = TIME_ERROR("invalid time");
static const struct scalar_error time_zone = TIME_ERROR("invalid timezone offset");
static const struct scalar_error time_trailing =
    TIME_ERROR("unexpected extra characters at the end of the input");
static const struct scalar_error time_range =
    TIME_ERROR("dates before year 1 and after year 9999 are not supported");
static const struct scalar_error email_type = {"string_type", "Input should be a valid string", NULL, NULL};
static const struct scalar_error email_at = EMAIL_ERROR("An email address must have exactly one @-sign.");
static const struct scalar_error email_no_local = EMAIL_ERROR("There must be something before the @-sign.");
static const struct scalar_error email_local_long =
    EMAIL_ERROR("The email address is too long before the @-sign.");
static const struct scalar_error email_local =
    EMAIL_ERROR("The email address contains invalid characters before the @-sign.");
static const struct scalar_error email_dot =
    EMAIL_ERROR("The part after the @-sign is not valid. It should have a period.");
static const struct scalar_error email_domain =
    EMAIL_ERROR("The part after the @-sign contains invalid characters.");
static const struct scalar_error email_long = EMAIL_ERROR("The email address is too long.");

static int refuse(const struct scalar_error **error, const struct scalar_error *why)
{
    *error = why;
    return -EINVAL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Numbers. */

/*
 * Copies the digits of a number without the underscores, which must stand
 * between digits; -EINVAL for anything but [sign] digits and, if allowed, one fraction.
 */
static int clean_number(struct str s, char out[SCALAR_TEXT_MAX], size_t *out_n)
{
    size_t n = 0;
    bool has_point = false;

    if (s.n >= SCALAR_TEXT_MAX)
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        bool between = i > 0 && is_digit(s.p[i - 1]) && i + 1 < s.n && is_digit(s.p[i + 1]);

        if (s.p[i] == '_' && between)
            continue;
        if (s.p[i] == '.' && between && !has_point)
            has_point = true;
        else if (!is_digit(s.p[i]) && !(i == 0 && s.p[i] == '-'))
            return -EINVAL;
        out[n++] = s.p[i];
    }
    *out_n = n;
    return 0;
}

static struct str without_plus(struct str s)
{
    return s.n > 1 && s.p[0] == '+' && s.p[1] != '-' ? str_from_offset(s, 1) : s;
}

int scalar_str_i64(struct str s, int64_t *value, const struct scalar_error **error)
{
    char text[SCALAR_TEXT_MAX];
    struct str number, fraction;
    size_t n;
    int rc;

    if (clean_number(without_plus(str_trim(s)), text, &n) < 0)
        return refuse(error, &int_parsing);
    fraction = str_of(text, n);
    number = str_cut(&fraction, '.');
    for (size_t i = 0; i < fraction.n; i++) {
        if (fraction.p[i] != '0')
            return refuse(error, &int_parsing);
    }
    rc = str_to_i64(number, value);
    if (rc < 0)
        return refuse(error, rc == -ERANGE ? &int_parsing_size : &int_parsing);
    return 0;
}

/* strtod() reads hexadecimal, "inf" and "nan" too. */
static bool is_decimal(struct str s)
{
    bool has_digit = false;

    for (size_t i = 0; i < s.n; i++) {
        has_digit = has_digit || is_digit(s.p[i]);
        if (!is_digit(s.p[i]) && (s.p[i] == '\0' || strchr("+-.eE", s.p[i]) == NULL))
            return false;
    }
    return has_digit;
}

int scalar_str_double(struct str s, double *value, const struct scalar_error **error)
{
    char text[SCALAR_TEXT_MAX];
    char *end;

    s = str_trim(s);
    if (s.n >= sizeof(text) || !is_decimal(s))
        return refuse(error, &float_parsing);
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *value = strtod(text, &end);
    if (end != text + s.n)
        return refuse(error, &float_parsing);
    if (!__builtin_isfinite(*value))
        return refuse(error, &float_finite);
    return 0;
}

int scalar_str_bool(struct str s, bool *value, const struct scalar_error **error)
{
    static const struct {
        struct str text;
        bool value;
    } words[] = {
        {STR_INIT("true"), true}, {STR_INIT("t"), true},  {STR_INIT("yes"), true},    {STR_INIT("y"), true},
        {STR_INIT("on"), true},   {STR_INIT("1"), true},  {STR_INIT("false"), false}, {STR_INIT("f"), false},
        {STR_INIT("no"), false},  {STR_INIT("n"), false}, {STR_INIT("off"), false},   {STR_INIT("0"), false},
    };

    for (size_t i = 0; i < nelem(words); i++) {
        if (str_ieq(s, words[i].text)) {
            *value = words[i].value;
            return 0;
        }
    }
    return refuse(error, &bool_parsing);
}

int scalar_str_uuid(struct str s, struct uuid *value, const struct scalar_error **error)
{
    if (uuid_parse(s, value, NULL) == 0)
        return 0;
    return refuse(error, s.n < 32 ? &uuid_length : &uuid_character);
}

/* Times. */

/* Days since 1970-01-01 of the proleptic Gregorian calendar; months from 1. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int days_in_month(int year, int month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : days[month - 1];
}

/* Takes exactly count digits off the front. */
static int take_digits(struct str *s, size_t count, int *value)
{
    if (s->n < count)
        return -EINVAL;
    *value = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(s->p[i]))
            return -EINVAL;
        *value = *value * 10 + (s->p[i] - '0');
    }
    *s = str_from_offset(*s, count);
    return 0;
}

static bool take_byte(struct str *s, char byte)
{
    if (s->n == 0 || s->p[0] != byte)
        return false;
    *s = str_from_offset(*s, 1);
    return true;
}

/* .digits, at least one, as microseconds; what is finer is cut off. */
static int take_fraction(struct str *s, int64_t *micro)
{
    int64_t unit = MICRO / 10;
    size_t n = 0;

    *micro = 0;
    while (n < s->n && is_digit(s->p[n])) {
        *micro += (s->p[n] - '0') * unit;
        unit /= 10;
        n++;
    }
    *s = str_from_offset(*s, n);
    return n != 0 ? 0 : -EINVAL;
}

static int take_date(struct str *s, int64_t *days, const struct scalar_error **error)
{
    int year, month, day;

    if (s->n < 10)
        return refuse(error, &time_short);
    if (take_digits(s, 4, &year) < 0 || !take_byte(s, '-') || take_digits(s, 2, &month) < 0 ||
        !take_byte(s, '-') || take_digits(s, 2, &day) < 0)
        return refuse(error, &time_date);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return refuse(error, &time_day);
    *days = days_from_civil(year, month, day);
    return 0;
}

/* HH:MM, HH:MM:SS or HH:MM:SS.fraction. */
static int take_clock(struct str *s, int64_t *micro, const struct scalar_error **error)
{
    int64_t fraction = 0;
    int hour, minute, second = 0;

    if (take_digits(s, 2, &hour) < 0 || !take_byte(s, ':') || take_digits(s, 2, &minute) < 0)
        return refuse(error, &time_clock);
    if (take_byte(s, ':')) {
        if (take_digits(s, 2, &second) < 0)
            return refuse(error, &time_clock);
        if ((take_byte(s, '.') || take_byte(s, ',')) && take_fraction(s, &fraction) < 0)
            return refuse(error, &time_clock);
    }
    if (hour > 23 || minute > 59 || second > 59)
        return refuse(error, &time_clock);
    *micro = (int64_t)(hour * 3600 + minute * 60 + second) * MICRO + fraction;
    return 0;
}

/* Z, ±HH:MM, ±HHMM, ±HH or nothing, which is UTC. */
static int take_zone(struct str *s, int64_t *micro, const struct scalar_error **error)
{
    int hour, minute = 0;
    bool negative;

    *micro = 0;
    if (s->n == 0 || take_byte(s, 'Z') || take_byte(s, 'z'))
        return 0;
    negative = take_byte(s, '-');
    if (!negative && !take_byte(s, '+'))
        return refuse(error, &time_trailing);
    if (take_digits(s, 2, &hour) < 0)
        return refuse(error, &time_zone);
    if ((take_byte(s, ':') || s->n != 0) && take_digits(s, 2, &minute) < 0)
        return refuse(error, &time_zone);
    if (hour > 23 || minute > 59)
        return refuse(error, &time_zone);
    *micro = (int64_t)(hour * 60 + minute) * 60 * MICRO * (negative ? -1 : 1);
    return 0;
}

static int time_in_range(int64_t micro, int64_t *real_us, const struct scalar_error **error)
{
    if (micro < TIME_LEAST || micro > TIME_MOST)
        return refuse(error, &time_range);
    *real_us = micro;
    return 0;
}

/* Seconds or milliseconds with an optional fraction; the text is [-]digits[.digits]. */
static int number_time(struct str s, int64_t *real_us, const struct scalar_error **error)
{
    bool negative = take_byte(&s, '-');
    struct str fraction_text = s;
    struct str whole_text = str_cut(&fraction_text, '.');
    int64_t whole, fraction = 0;

    if (str_to_i64(whole_text, &whole) < 0 || whole > INT64_MAX / MICRO)
        return refuse(error, &time_range);
    if (!str_is_none(fraction_text) && take_fraction(&fraction_text, &fraction) < 0)
        return refuse(error, &time_trailing);
    if (whole > TIME_WATERSHED)
        whole = whole * 1000 + fraction / 1000;
    else
        whole = whole * MICRO + fraction;
    return time_in_range(negative ? -whole : whole, real_us, error);
}

int scalar_str_time(struct str s, int64_t *real_us, const struct scalar_error **error)
{
    char number[SCALAR_TEXT_MAX];
    size_t n;
    int64_t days, clock = 0, zone = 0;

    if (s.n != 0 && str_find_byte(s, '_') < 0 && clean_number(without_plus(s), number, &n) == 0)
        return number_time(str_of(number, n), real_us, error);
    if (take_date(&s, &days, error) < 0)
        return -EINVAL;
    if (s.n != 0) {
        if (!take_byte(&s, 'T') && !take_byte(&s, 't') && !take_byte(&s, ' '))
            return refuse(error, &time_trailing);
        if (take_clock(&s, &clock, error) < 0 || take_zone(&s, &zone, error) < 0)
            return -EINVAL;
        if (s.n != 0)
            return refuse(error, &time_trailing);
    }
    return time_in_range(days * 86400 * MICRO + clock - zone, real_us, error);
}

/* E-mail. */

/* An atom's characters (RFC 5322), and any other UTF-8 but control characters. */
static bool is_local_byte(unsigned char c)
{
    return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

static bool is_local(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (!is_local_byte(c))
            return false;
        if (c == '.' && (i == 0 || i + 1 == s.n || s.p[i - 1] == '.'))
            return false;
        if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa1)
            return false; /* U+0080 to U+00A0 */
    }
    return str_is_utf8(s);
}

static bool is_label(struct str s)
{
    if (s.n == 0 || s.n > EMAIL_LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!is_digit(c) && c != '-' && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
            return false;
    }
    return true;
}

static bool is_domain(struct str s)
{
    while (!str_is_none(s)) {
        if (!is_label(str_cut(&s, '.')))
            return false;
    }
    return true;
}

static const struct scalar_error *email_problem(struct str s)
{
    ssize_t at = str_find_byte(s, '@');
    struct str local, domain;

    if (at < 0 || str_rfind_byte(s, '@') != at)
        return &email_at;
    local = str_head(s, (size_t)at);
    domain = str_from_offset(s, (size_t)at + 1);
    if (local.n == 0)
        return &email_no_local;
    if (s.n > EMAIL_MAX)
        return &email_long;
    if (local.n > EMAIL_LOCAL_MAX)
        return &email_local_long;
    if (!is_local(local))
        return &email_local;
    if (str_find_byte(domain, '.') < 0)
        return &email_dot;
    return is_domain(domain) ? NULL : &email_domain;
}

int scalar_str_email(struct arena *a, struct str s, struct str *email, const struct scalar_error **error)
{
    const struct scalar_error *problem;
    char *lower;

    s = str_trim(s);
    problem = email_problem(s);
    if (problem != NULL)
        return refuse(error, problem);
    lower = arena_cstr(a, s);
    for (size_t i = 0; i < s.n; i++) {
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    }
    *email = str_of(lower, s.n);
    return 0;
}

/* JSON. */

int scalar_json_i64(const struct json *v, int64_t *value, const struct scalar_error **error)
{
    int rc;

    switch (json_type(v)) {
    case JSON_NUMBER:
        rc = json_i64(v, value);
        if (rc < 0)
            return refuse(error, rc == -ERANGE ? &int_parsing_size : &int_from_float);
        return 0;
    case JSON_BOOL:
        *value = json_bool(v);
        return 0;
    case JSON_STRING:
        return scalar_str_i64(json_text(v), value, error);
    default:
        return refuse(error, &int_type);
    }
}

int scalar_json_double(const struct json *v, double *value, const struct scalar_error **error)
{
    switch (json_type(v)) {
    case JSON_NUMBER:
        if (json_double(v, value) < 0 || !__builtin_isfinite(*value))
            return refuse(error, &float_finite);
        return 0;
    case JSON_BOOL:
        *value = json_bool(v);
        return 0;
    case JSON_STRING:
        return scalar_str_double(json_text(v), value, error);
    default:
        return refuse(error, &float_type);
    }
}

int scalar_json_bool(const struct json *v, bool *value, const struct scalar_error **error)
{
    int64_t number;

    switch (json_type(v)) {
    case JSON_BOOL:
        *value = json_bool(v);
        return 0;
    case JSON_NUMBER:
        if (json_i64(v, &number) < 0 || (number != 0 && number != 1))
            return refuse(error, &bool_parsing);
        *value = number == 1;
        return 0;
    case JSON_STRING:
        return scalar_str_bool(json_text(v), value, error);
    default:
        return refuse(error, &bool_type);
    }
}

int scalar_json_uuid(const struct json *v, struct uuid *value, const struct scalar_error **error)
{
    if (json_type(v) != JSON_STRING)
        return refuse(error, &uuid_type);
    return scalar_str_uuid(json_text(v), value, error);
}

static int json_number_time(const struct json *v, int64_t *real_us, const struct scalar_error **error)
{
    struct str text = json_raw(v);
    char plain[64];
    double number;
    int n;

    if (str_find_byte(text, 'e') < 0 && str_find_byte(text, 'E') < 0)
        return number_time(text, real_us, error);
    if (json_double(v, &number) < 0 || !(number > -1e18 && number < 1e18))
        return refuse(error, &time_range);
    n = snprintf(plain, sizeof(plain), "%.6f", number);
    return number_time(str_of(plain, (size_t)n), real_us, error);
}

int scalar_json_time(const struct json *v, int64_t *real_us, const struct scalar_error **error)
{
    switch (json_type(v)) {
    case JSON_NUMBER:
        return json_number_time(v, real_us, error);
    case JSON_STRING:
        return scalar_str_time(json_text(v), real_us, error);
    default:
        return refuse(error, &time_type);
    }
}

int scalar_json_email(struct arena *a, const struct json *v, struct str *email,
                      const struct scalar_error **error)
{
    if (json_type(v) != JSON_STRING)
        return refuse(error, &email_type);
    return scalar_str_email(a, json_text(v), email, error);
}
