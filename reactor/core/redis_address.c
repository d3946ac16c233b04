/* redis://[user[:password]@]host[:port][/db] and unix:///path[?db=n]. */
#include "base/hex.h"
#include "core/redis_link.h"

/* Percent escapes; a NUL is refused, because hosts and paths are C strings. */
static int unescape(struct arena *a, struct str text, struct str *out)
{
    char *room = arena_bytes(a, text.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        unsigned char byte = (unsigned char)text.p[i];

        if (byte == '%') {
            if (i + 2 >= text.n || hex_decode_to(&byte, 1, str_of(text.p + i + 1, 2)) < 0)
                return -EINVAL;
            i += 2;
        }
        if (byte == '\0')
            return -EINVAL;
        room[n++] = (char)byte;
    }
    room[n] = '\0';
    *out = str_of(room, n);
    return 0;
}

static int parse_database(struct str text, int64_t *database)
{
    if (text.n == 0)
        return 0;
    return str_to_i64(text, database) < 0 || *database < 0 || *database > INT32_MAX ? -EINVAL : 0;
}

static int parse_unix(struct arena *a, struct str rest, struct redis_address *address)
{
    struct str path = str_cut(&rest, '?');
    struct str decoded;

    if (!str_starts(path, STR("/")) || unescape(a, path, &decoded) < 0)
        return -EINVAL;
    address->path = decoded.p;
    if (str_is_none(rest))
        return 0;
    return str_starts(rest, STR("db=")) ? parse_database(str_from_offset(rest, 3), &address->database)
                                        : -EINVAL;
}

static int parse_credentials(struct arena *a, struct str text, struct redis_address *address)
{
    struct str user = str_cut(&text, ':');

    if (user.n > 0 && unescape(a, user, &address->user) < 0)
        return -EINVAL;
    return str_is_none(text) || text.n == 0 ? 0 : unescape(a, text, &address->password);
}

static int parse_host(struct arena *a, struct str text, struct redis_address *address)
{
    struct str host = text;
    struct str port = STR_NONE;
    struct str decoded;
    int64_t number = 6379;
    ssize_t end = str_find_byte(text, ']');

    if (str_starts(text, STR("[")) && end > 0) {
        host = str_of(text.p + 1, (size_t)end - 1);
        port = str_from_offset(text, (size_t)end + 1);
        if (port.n > 0 && port.p[0] != ':')
            return -EINVAL;
        port = port.n > 0 ? str_from_offset(port, 1) : STR_NONE;
    } else {
        host = str_cut(&text, ':');
        port = text;
    }
    if (host.n == 0 || unescape(a, host, &decoded) < 0)
        return -EINVAL;
    if (!str_is_none(port) && (str_to_i64(port, &number) < 0 || number < 1 || number > 65535))
        return -EINVAL;
    address->host = decoded.p;
    address->port = (int)number;
    return 0;
}

int redis_address_parse(struct arena *a, struct str url, struct redis_address *address)
{
    struct str rest, authority;
    ssize_t at;

    *address = (struct redis_address){0};
    if (str_starts(url, STR("unix://")))
        return parse_unix(a, str_from_offset(url, 7), address);
    if (!str_starts(url, STR("redis://")))
        return -EINVAL;
    rest = str_from_offset(url, 8);
    authority = str_cut(&rest, '/');
    at = str_rfind_byte(authority, '@');
    if (at >= 0 && parse_credentials(a, str_head(authority, (size_t)at), address) < 0)
        return -EINVAL;
    if (parse_host(a, str_from_offset(authority, (size_t)(at + 1)), address) < 0)
        return -EINVAL;
    return parse_database(rest, &address->database);
}
