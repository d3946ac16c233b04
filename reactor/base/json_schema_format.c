/* The values of "format" that are asserted: RFC 3339, 5321, 1123, 3986, 4122 and the addresses. */
#include "base/json_schema_parts.h"

/* ---- Characters ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_among(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* Takes count digits off s; their value, or -1. */
static int digits_take(struct str *s, size_t count)
{
    int value = 0;

    if (s->n < count)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(s->p[i]))
            return -1;
        value = value * 10 + (s->p[i] - '0');
    }
    *s = str_from_offset(*s, count);
    return value;
}

static bool byte_take(struct str *s, const char *set)
{
    if (s->n == 0 || !is_among(s->p[0], set))
        return false;
    *s = str_from_offset(*s, 1);
    return true;
}

/* ---- Dates and times ---- */

static bool date_take(struct str *s)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = digits_take(s, 4), month, day;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    if (year < 0 || !byte_take(s, "-"))
        return false;
    month = digits_take(s, 2);
    if (month < 1 || month > 12 || !byte_take(s, "-"))
        return false;
    day = digits_take(s, 2);
    return day >= 1 && day <= days[month - 1] + (month == 2 && is_leap);
}

/* Minutes east of Greenwich. */
static bool offset_take(struct str *s, int *minutes)
{
    bool is_west = s->n > 0 && s->p[0] == '-';
    int hour, minute;

    *minutes = 0;
    if (byte_take(s, "zZ"))
        return true;
    if (!byte_take(s, "+-"))
        return false;
    hour = digits_take(s, 2);
    if (hour < 0 || hour > 23 || !byte_take(s, ":"))
        return false;
    minute = digits_take(s, 2);
    *minutes = (hour * 60 + minute) * (is_west ? -1 : 1);
    return minute >= 0 && minute <= 59;
}

static bool time_take(struct str *s)
{
    enum { DAY = 24 * 60 };
    int hour = digits_take(s, 2), minute, second, offset;

    if (hour < 0 || hour > 23 || !byte_take(s, ":"))
        return false;
    minute = digits_take(s, 2);
    if (minute < 0 || minute > 59 || !byte_take(s, ":"))
        return false;
    second = digits_take(s, 2);
    if (second < 0 || second > 60)
        return false;
    if (byte_take(s, ".")) {
        if (digits_take(s, 1) < 0)
            return false;
        while (digits_take(s, 1) >= 0)
            ;
    }
    if (!offset_take(s, &offset))
        return false;
    /* A leap second is the last of a day in UTC. */
    return second < 60 || (hour * 60 + minute - offset + 2 * DAY) % DAY == DAY - 1;
}

static bool is_date(struct str s)
{
    return date_take(&s) && s.n == 0;
}

static bool is_time(struct str s)
{
    return time_take(&s) && s.n == 0;
}

static bool is_date_time(struct str s)
{
    return date_take(&s) && byte_take(&s, "tT") && time_take(&s) && s.n == 0;
}

/* ---- Addresses ---- */

static bool is_ipv4(struct str s)
{
    for (int part = 0; part < 4; part++) {
        int value;
        bool is_zero;

        if (part > 0 && !byte_take(&s, "."))
            return false;
        is_zero = s.n > 0 && s.p[0] == '0';
        value = digits_take(&s, 1);
        for (int i = 0; value >= 0 && i < 2 && s.n > 0 && is_digit(s.p[0]); i++)
            value = value * 10 + digits_take(&s, 1);
        if (value < 0 || value > 255 || (is_zero && value != 0))
            return false;
    }
    return s.n == 0;
}

/* Groups up to the end of s: their number (an IPv4 address at the end counts two), or -1. */
static int ipv6_groups(struct str s, bool ipv4_may_end)
{
    int count = 0;

    while (s.n > 0) {
        struct str rest = s, group = str_cut(&rest, ':');

        if (ipv4_may_end && str_is_none(rest) && str_find_byte(group, '.') >= 0)
            return is_ipv4(group) ? count + 2 : -1;
        if (group.n < 1 || group.n > 4 || (!str_is_none(rest) && rest.n == 0) || ++count > 8)
            return -1;
        for (size_t i = 0; i < group.n; i++) {
            if (!is_hex(group.p[i]))
                return -1;
        }
        s = rest;
    }
    return count;
}

static bool is_ipv6(struct str s)
{
    ssize_t gap = str_find(s, STR("::"));
    int left, right;

    if (gap < 0)
        return ipv6_groups(s, true) == 8;
    left = ipv6_groups(str_head(s, (size_t)gap), false);
    right = ipv6_groups(str_from_offset(s, (size_t)gap + 2), true);
    return left >= 0 && right >= 0 && left + right <= 7;
}

static bool is_label(struct str label)
{
    if (label.n < 1 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        if (!is_letter(label.p[i]) && !is_digit(label.p[i]) && label.p[i] != '-')
            return false;
    }
    return true;
}

/* RFC 1123. What "xn--" labels decode to is not looked at. */
static bool is_hostname(struct str s)
{
    if (s.n == 0 || s.n > 253)
        return false;
    while (!str_is_none(s)) {
        if (!is_label(str_cut(&s, '.')))
            return false;
    }
    return true;
}

/* ---- E-mail ---- */

static bool is_atom_byte(char c)
{
    return is_letter(c) || is_digit(c) || is_among(c, "!#$%&'*+-/=?^_`{|}~");
}

/* Takes "…" or atoms with single dots between them. */
static bool local_part_take(struct str *s)
{
    bool was_dot = true;

    if (byte_take(s, "\"")) {
        while (s->n > 0 && s->p[0] != '"') {
            if (s->p[0] == '\\' && s->n > 1)
                *s = str_from_offset(*s, 1);
            if ((unsigned char)s->p[0] < 0x20 || (unsigned char)s->p[0] >= 0x7f)
                return false;
            *s = str_from_offset(*s, 1);
        }
        return byte_take(s, "\"");
    }
    for (; s->n > 0 && s->p[0] != '@'; *s = str_from_offset(*s, 1)) {
        if (s->p[0] == '.' ? was_dot : !is_atom_byte(s->p[0]))
            return false;
        was_dot = s->p[0] == '.';
    }
    return !was_dot;
}

static bool is_email(struct str s)
{
    if (!local_part_take(&s) || !byte_take(&s, "@"))
        return false;
    if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']')
        return is_hostname(s);
    s = str_of(s.p + 1, s.n - 2);
    if (str_starts(s, STR("IPv6:")))
        return is_ipv6(str_from_offset(s, 5));
    return is_ipv4(s);
}

/* ---- URI ---- */

/* Whether s is made of unreserved bytes, escapes, sub-delims and those in more. */
static bool is_uri_text(struct str s, const char *more)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '%') {
            if (s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
                return false;
            i += 2;
        } else if (!is_letter(c) && !is_digit(c) && !is_among(c, "-._~!$&'()*+,;=") && !is_among(c, more)) {
            return false;
        }
    }
    return true;
}

static bool is_ip_literal(struct str s)
{
    ssize_t dot = str_find_byte(s, '.');

    if (s.n == 0 || (s.p[0] | 0x20) != 'v')
        return is_ipv6(s);
    if (dot < 2 || (size_t)dot + 1 == s.n)
        return false;
    for (ssize_t i = 1; i < dot; i++) {
        if (!is_hex(s.p[i]))
            return false;
    }
    return is_uri_text(str_from_offset(s, (size_t)dot + 1), ":") && str_find_byte(s, '%') < 0;
}

static bool is_authority(struct str s)
{
    ssize_t at = str_find_byte(s, '@'), close;

    if (at >= 0) {
        if (!is_uri_text(str_head(s, (size_t)at), ":"))
            return false;
        s = str_from_offset(s, (size_t)at + 1);
    }
    if (s.n > 0 && s.p[0] == '[') {
        close = str_find_byte(s, ']');
        if (close < 0 || !is_ip_literal(str_of(s.p + 1, (size_t)close - 1)))
            return false;
        s = str_from_offset(s, (size_t)close + 1);
    } else {
        ssize_t colon = str_find_byte(s, ':');
        size_t n = colon >= 0 ? (size_t)colon : s.n;

        if (!is_uri_text(str_head(s, n), ""))
            return false;
        s = str_from_offset(s, n);
    }
    if (s.n > 0 && s.p[0] != ':')
        return false;
    for (size_t i = 1; i < s.n; i++) {
        if (!is_digit(s.p[i]))
            return false;
    }
    return true;
}

static bool is_uri(struct str s)
{
    struct str scheme, path;
    size_t n = 0;

    if (str_find_byte(s, ':') < 1)
        return false;
    scheme = str_cut(&s, ':');
    for (size_t i = 0; i < scheme.n; i++) {
        if (!is_letter(scheme.p[i]) && (i == 0 || (!is_digit(scheme.p[i]) && !is_among(scheme.p[i], "+-."))))
            return false;
    }
    path = str_cut(&s, '#');
    if (!str_is_none(s) && !is_uri_text(s, ":@/?"))
        return false;
    s = path;
    path = str_cut(&s, '?');
    if (!str_is_none(s) && !is_uri_text(s, ":@/?"))
        return false;
    if (str_starts(path, STR("//"))) {
        path = str_from_offset(path, 2);
        while (n < path.n && path.p[n] != '/')
            n++;
        if (!is_authority(str_head(path, n)))
            return false;
        path = str_from_offset(path, n);
    }
    return is_uri_text(path, ":@/");
}

static bool is_uuid(struct str s)
{
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (is_dash ? s.p[i] != '-' : !is_hex(s.p[i]))
            return false;
    }
    return true;
}

static const struct format formats[] = {
    {STR_INIT("date-time"), is_date_time}, {STR_INIT("date"), is_date},         {STR_INIT("time"), is_time},
    {STR_INIT("email"), is_email},         {STR_INIT("hostname"), is_hostname}, {STR_INIT("ipv4"), is_ipv4},
    {STR_INIT("ipv6"), is_ipv6},           {STR_INIT("uri"), is_uri},           {STR_INIT("uuid"), is_uuid},
};

const struct format *schema_format(struct str name)
{
    for (size_t i = 0; i < nelem(formats); i++) {
        if (str_eq(name, formats[i].name))
            return &formats[i];
    }
    return NULL;
}
