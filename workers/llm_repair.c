#include "workers/llm_repair.h"

#include "base/buf.h"

enum { ESCAPE_SIZE = 6 }; /* \uXXXX */

/* The UTF-16 unit of an escape at the front, or -1. */
static int escape_unit(struct str s)
{
    int unit = 0;

    if (s.n < ESCAPE_SIZE || s.p[0] != '\\' || s.p[1] != 'u')
        return -1;
    for (size_t i = 2; i < ESCAPE_SIZE; i++) {
        const char *digits = "0123456789abcdef", lower = (char)(s.p[i] | 0x20);
        const char *digit =
            s.p[i] >= '0' && s.p[i] <= '9' ? strchr(digits, s.p[i]) : strchr(digits + 10, lower);

        if (digit == NULL || *digit == '\0')
            return -1;
        unit = unit * 16 + (int)(digit - digits);
    }
    return unit;
}

/* Bytes of the escape or escapes at the front that belong together; *is_half: they stand for half a pair. */
static size_t escape_size(struct str s, bool *is_half)
{
    int unit = escape_unit(s), low;

    *is_half = false;
    if (unit < 0)
        return s.n < 2 ? s.n : 2;
    if (unit < 0xd800 || unit > 0xdfff)
        return ESCAPE_SIZE;
    low = escape_unit(str_from_offset(s, ESCAPE_SIZE));
    if (unit <= 0xdbff && low >= 0xdc00 && low <= 0xdfff)
        return 2 * ESCAPE_SIZE;
    *is_half = true;
    return ESCAPE_SIZE;
}

/* The length of the character at the front, or 0. */
static size_t character_size(struct str s)
{
    for (size_t n = 1; n <= 4 && n <= s.n; n++) {
        if (str_is_utf8(str_head(s, n)))
            return n;
    }
    return 0;
}

struct str llm_repair(struct arena *a, struct str json)
{
    struct buf out;

    buf_init_arena(&out, a);
    while (json.n > 0) {
        bool is_half;
        size_t n;

        if (json.p[0] == '\\') {
            n = escape_size(json, &is_half);
        } else {
            n = character_size(json);
            is_half = n == 0;
            n += is_half;
        }
        buf_add(&out, is_half ? STR("\xef\xbf\xbd") : str_head(json, n));
        json = str_from_offset(json, n);
    }
    return buf_str(&out);
}
