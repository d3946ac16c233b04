/*
 * Skipping over what a JSON reader or writer need not look at, 16 bytes at a
 * time with SSE2, 8 at a time elsewhere; for the json_*.c files only.
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "base/base.h"

#ifdef __SSE2__
#include <emmintrin.h>

/* Bit i: byte i is a quote, a backslash or a control character; high_too: or is not ASCII. */
static inline unsigned scan_special_16(const char *at, bool high_too)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i any = _mm_or_si128(control, _mm_or_si128(quote, backslash));

    return (unsigned)_mm_movemask_epi8(high_too ? _mm_or_si128(any, bytes) : any);
}

/* Bit i: byte i is no JSON white space. */
static inline unsigned scan_dark_16(const char *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i space = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '));
    __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    __m128i line = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'));
    __m128i back = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r'));
    __m128i white = _mm_or_si128(_mm_or_si128(space, tab), _mm_or_si128(line, back));

    return (unsigned)_mm_movemask_epi8(white) ^ 0xffffu;
}
#endif

static inline bool scan_is_special(unsigned char c, bool high_too)
{
    return c < 0x20 || c == '"' || c == '\\' || (high_too && c >= 0x80);
}

static inline bool scan_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

#ifndef __SSE2__
/* Whether none of 8 bytes is special (nor high, whether asked or not). */
static inline bool scan_plain_8(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    uint64_t eight, quote, backslash;

    memcpy(&eight, at, sizeof(eight));
    quote = eight ^ ones * '"';
    backslash = eight ^ ones * '\\';
    return ((eight | (eight - ones * 0x20) | (quote - ones) | (backslash - ones)) & highs) == 0;
}
#endif

/* The first quote, backslash or control character (high_too: or byte that is not ASCII), or end. */
static inline const char *scan_plain(const char *at, const char *end, bool high_too)
{
#ifdef __SSE2__
    while (end - at >= 16) {
        unsigned special = scan_special_16(at, high_too);

        if (special != 0)
            return at + __builtin_ctz(special);
        at += 16;
    }
#else
    while (end - at >= 8 && scan_plain_8(at))
        at += 8;
#endif
    while (at < end && !scan_is_special((unsigned char)*at, high_too))
        at++;
    return at;
}

/* The first byte that is no white space, or end. */
static inline const char *scan_space(const char *at, const char *end)
{
    if (at < end && (unsigned char)*at > ' ')
        return at;
    if (end - at >= 2 && (unsigned char)at[1] > ' ' && scan_is_space(*at)) /* one blank after a colon */
        return at + 1;
#ifdef __SSE2__
    while (end - at >= 16) {
        unsigned dark = scan_dark_16(at);

        if (dark != 0)
            return at + __builtin_ctz(dark);
        at += 16;
    }
#endif
    while (at < end && scan_is_space(*at))
        at++;
    return at;
}

#endif
