#include "base/str.h"

static unsigned char ascii_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool str_ieq(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (ascii_lower((unsigned char)a.p[i]) != ascii_lower((unsigned char)b.p[i]))
            return false;
    }
    return true;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n != 0 ? memcmp(a.p, b.p, n) : 0;

    if (order != 0)
        return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

ssize_t str_find_byte(struct str s, char byte)
{
    const char *at = s.n != 0 ? memchr(s.p, byte, s.n) : NULL;

    return at != NULL ? at - s.p : -1;
}

ssize_t str_rfind_byte(struct str s, char byte)
{
    const char *at = s.n != 0 ? memrchr(s.p, byte, s.n) : NULL;

    return at != NULL ? at - s.p : -1;
}

ssize_t str_find(struct str s, struct str needle)
{
    const char *at;

    if (needle.n == 0)
        return 0;
    at = s.n != 0 ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at != NULL ? at - s.p : -1;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0]))
        s = str_from_offset(s, 1);
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct str str_cut(struct str *rest, char separator)
{
    struct str whole = *rest;
    ssize_t at = str_find_byte(whole, separator);

    if (at < 0) {
        *rest = STR_NONE;
        return whole;
    }
    *rest = str_from_offset(whole, (size_t)at + 1);
    return str_head(whole, (size_t)at);
}

int str_to_i64(struct str s, int64_t *value)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t sum = 0;

    if (negative)
        s = str_from_offset(s, 1);
    if (s.n == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';

        if (digit > 9)
            return -EINVAL;
        if (sum > (limit - digit) / 10)
            return -ERANGE;
        sum = sum * 10 + digit;
    }
    *value = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return 0;
}

/* Length of the valid sequence at p (n bytes left), or 0. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2)
        return 0;
    if (p[0] < 0xe0)
        return n >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (p[0] < 0xf0) {
        unsigned low = p[0] == 0xe0 ? 0xa0 : 0x80;
        unsigned high = p[0] == 0xed ? 0x9f : 0xbf;

        return n >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (p[0] < 0xf5) {
        unsigned low = p[0] == 0xf0 ? 0x90 : 0x80;
        unsigned high = p[0] == 0xf4 ? 0x8f : 0xbf;

        return n >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 && (p[3] & 0xc0) == 0x80 ? 4
                                                                                                       : 0;
    }
    return 0;
}

size_t str_utf8_sequence(struct str s)
{
    return s.n != 0 ? utf8_sequence((const unsigned char *)s.p, s.n) : 0;
}

bool str_is_utf8(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;

    while (i < s.n) {
        uint64_t eight;
        size_t step;

        if (s.n - i >= sizeof(eight)) { /* text is mostly ASCII: eight bytes at a time */
            memcpy(&eight, p + i, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(eight);
                continue;
            }
        }
        step = utf8_sequence(p + i, s.n - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

size_t str_utf8_length(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.n; i++)
        count += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return count;
}

struct str str_utf8_head(struct str s, size_t max)
{
    if (s.n <= max)
        return s;
    while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
        max--;
    return str_head(s, max);
}

bool str_eq_secret(struct str a, struct str b)
{
    unsigned difference = 0;

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        difference |= (unsigned char)a.p[i] ^ (unsigned char)b.p[i];
    return difference == 0;
}

size_t str_put_i64(char *out, int64_t value)
{
    char digits[STR_I64_MAX];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        digits[--at] = '-';
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}
