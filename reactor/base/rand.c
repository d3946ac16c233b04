#include "base/rand.h"

#include "base/base64.h"

#include <sodium.h>
#include <sys/random.h>

void rand_bytes(void *out, size_t n)
{
    unsigned char *to = out;

    while (n > 0) {
        ssize_t got = getrandom(to, n, 0);

        if (got > 0) {
            to += got;
            n -= (size_t)got;
        } else if (errno != EINTR) {
            abort(); /* going on without randomness would hand out guessable keys */
        }
    }
}

uint32_t rand_below(uint32_t n)
{
    uint32_t value;
    uint32_t unfair; /* so many of the lowest values would make some results likelier */

    assert(n != 0);
    unfair = (0 - n) % n;
    do {
        rand_bytes(&value, sizeof(value));
    } while (value < unfair);
    return value % n;
}

struct str rand_token(struct arena *a)
{
    unsigned char bytes[32];
    struct str token;

    rand_bytes(bytes, sizeof(bytes));
    token = base64_encode(a, BASE64_URL_UNPADDED, str_of((const char *)bytes, sizeof(bytes)));
    sodium_memzero(bytes, sizeof(bytes));
    return token;
}

struct str rand_code(struct arena *a, unsigned digits)
{
    uint32_t limit = 1;

    assert(digits >= 1 && digits <= RAND_CODE_MAX);
    for (unsigned i = 0; i < digits; i++)
        limit *= 10;
    return arena_strf(a, "%0*" PRIu32, (int)digits, rand_below(limit));
}
