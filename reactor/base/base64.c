#include "base/base64.h"

static const char digits_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char digits_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool is_url(enum base64_form form)
{
    return form == BASE64_URL || form == BASE64_URL_UNPADDED;
}

static bool is_padded(enum base64_form form)
{
    return form == BASE64_STANDARD || form == BASE64_URL;
}

size_t base64_encoded_size(enum base64_form form, size_t n)
{
    size_t tail = n % 3;

    if (tail == 0)
        return n / 3 * 4;
    return n / 3 * 4 + (is_padded(form) ? 4 : tail + 1);
}

size_t base64_encode_to(char *out, enum base64_form form, struct str bytes)
{
    const char *digits = is_url(form) ? digits_url : digits_standard;
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t size = base64_encoded_size(form, bytes.n);
    size_t left = bytes.n;

    for (; left >= 3; left -= 3, p += 3) {
        *out++ = digits[p[0] >> 2];
        *out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
        *out++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
        *out++ = digits[p[2] & 63];
    }
    if (left != 0) {
        unsigned second = left == 2 ? p[1] : 0;

        *out++ = digits[p[0] >> 2];
        *out++ = digits[(p[0] & 3) << 4 | second >> 4];
        if (left == 2)
            *out++ = digits[(second & 15) << 2];
        if (is_padded(form))
            memcpy(out, "==", 3 - left);
    }
    return size;
}

struct str base64_encode(struct arena *a, enum base64_form form, struct str bytes)
{
    char *out = arena_bytes(a, base64_encoded_size(form, bytes.n) + 1);
    size_t n = base64_encode_to(out, form, bytes);

    out[n] = '\0';
    return str_of(out, n);
}

/*
 * The digit's value, or a number above 63. Computed, not looked up: keys and
 * tokens pass here, and a table index would show in the cache.
 */
static unsigned digit_value(unsigned char c, bool url)
{
    unsigned value = 64;

    value = c >= 'A' && c <= 'Z' ? c - (unsigned)'A' : value;
    value = c >= 'a' && c <= 'z' ? c - (unsigned)'a' + 26 : value;
    value = c >= '0' && c <= '9' ? c - (unsigned)'0' + 52 : value;
    value = c == (url ? '-' : '+') ? 62 : value;
    value = c == (url ? '_' : '/') ? 63 : value;
    return value;
}

/* Takes the padding off; -EINVAL when it is not as the form says. */
static int unpad(enum base64_form form, struct str *text)
{
    size_t padding = 0;

    if (!is_padded(form))
        return text->n % 4 == 1 ? -EINVAL : 0;
    if (text->n % 4 != 0)
        return -EINVAL;
    while (padding < 2 && text->n > 0 && text->p[text->n - 1] == '=') {
        text->n--;
        padding++;
    }
    return 0;
}

ssize_t base64_decode_to(void *out, size_t size, enum base64_form form, struct str text)
{
    unsigned char *to = out;
    bool url = is_url(form);
    uint32_t bits = 0;
    unsigned bits_count = 0;
    size_t n = 0;

    if (unpad(form, &text) < 0)
        return -EINVAL;
    if (text.n / 4 * 3 + (text.n % 4 != 0 ? text.n % 4 - 1 : 0) > size)
        return -ENOSPC;
    for (size_t i = 0; i < text.n; i++) {
        unsigned value = digit_value((unsigned char)text.p[i], url);

        if (value > 63)
            return -EINVAL;
        bits = bits << 6 | value;
        bits_count += 6;
        if (bits_count >= 8) {
            bits_count -= 8;
            to[n++] = (unsigned char)(bits >> bits_count);
            bits &= (1u << bits_count) - 1;
        }
    }
    return bits == 0 ? (ssize_t)n : -EINVAL;
}

int base64_decode(struct arena *a, enum base64_form form, struct str text, struct str *bytes)
{
    size_t size = base64_decoded_max(text.n);
    char *out = arena_bytes(a, size);
    ssize_t n = base64_decode_to(out, size, form, text);

    if (n < 0)
        return (int)n;
    *bytes = str_of(out, (size_t)n);
    return 0;
}
