#include "http.h"

#include "base/hex.h"

/* Percent-encoding (RFC 3986 §2.1) and query strings. */

static bool needs_decoding(struct str s, bool plus_is_space)
{
    return str_find_byte(s, '%') >= 0 || (plus_is_space && str_find_byte(s, '+') >= 0);
}

/* The octet that the escape at s.p[at] stands for, or -EINVAL. NUL is none. */
static int escape_read(struct str s, size_t at)
{
    int high, low;

    if (s.n - at < 3)
        return -EINVAL;
    high = hex_digit(s.p[at + 1]);
    low = hex_digit(s.p[at + 2]);
    if (high < 0 || low < 0 || (high | low) == 0)
        return -EINVAL;
    return high << 4 | low;
}

static int decode_copy(struct arena *a, struct str s, bool plus_is_space, struct str *decoded)
{
    char *out = arena_bytes(a, s.n);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        int octet = (unsigned char)s.p[i];

        if (octet == '%') {
            octet = escape_read(s, i);
            if (octet < 0)
                return octet;
            i += 2;
        } else if (octet == '+' && plus_is_space) {
            octet = ' ';
        }
        out[n++] = (char)octet;
    }
    *decoded = str_of(out, n);
    return 0;
}

int http_percent_decode(struct arena *a, struct str s, bool plus_is_space, struct str *decoded)
{
    int rc;

    *decoded = s;
    if (needs_decoding(s, plus_is_space)) {
        rc = decode_copy(a, s, plus_is_space, decoded);
        if (rc < 0)
            return rc;
    }
    if (decoded->n != 0 && memchr(decoded->p, '\0', decoded->n) != NULL)
        return -EINVAL;
    return str_is_utf8(*decoded) ? 0 : -EINVAL;
}

int http_query_next(struct arena *a, struct str *query, struct str *name, struct str *value)
{
    struct str pair;

    do {
        if (str_is_none(*query))
            return 0;
        pair = str_cut(query, '&');
    } while (pair.n == 0);
    *value = pair;
    *name = str_cut(value, '=');
    if (str_is_none(*value))
        *value = STR("");
    if (http_percent_decode(a, *name, true, name) < 0 || http_percent_decode(a, *value, true, value) < 0)
        return -EINVAL;
    return 1;
}
