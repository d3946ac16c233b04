/* What is taken has a host or a path, a port and a database in their ranges, and no NUL inside. */
#include "core/redis_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_address address;
    struct arena a;

    arena_init(&a);
    if (redis_address_parse(&a, str_of((const char *)data, size), &address) == 0) {
        check((address.host != NULL) != (address.path != NULL));
        check(address.host == NULL ||
              (address.host[0] != '\0' && address.port >= 1 && address.port <= 65535));
        check(address.path == NULL || address.path[0] == '/');
        check(address.database >= 0 && address.database <= INT32_MAX);
        check(address.user.n == 0 || strlen(address.user.p) == address.user.n);
        check(address.password.n == 0 || strlen(address.password.p) == address.password.n);
    }
    arena_fini(&a);
    return 0;
}
