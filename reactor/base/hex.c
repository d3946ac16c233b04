#include "base/hex.h"

void hex_encode_to(char *out, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char byte = (unsigned char)bytes.p[i];

        out[2 * i] = digits[byte >> 4];
        out[2 * i + 1] = digits[byte & 15];
    }
}

struct str hex_encode(struct arena *a, struct str bytes)
{
    char *out = arena_bytes(a, bytes.n * 2 + 1);

    hex_encode_to(out, bytes);
    out[bytes.n * 2] = '\0';
    return str_of(out, bytes.n * 2);
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode_to(void *out, size_t n, struct str text)
{
    unsigned char *to = out;

    if (text.n != n * 2)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(text.p[2 * i]);
        int low = hex_digit(text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return -EINVAL;
        to[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}
