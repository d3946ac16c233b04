#include "addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static struct addr addr_of_v4(const void *four)
{
    struct addr a;

    memcpy(a.bytes, mapped_prefix, sizeof(mapped_prefix));
    memcpy(a.bytes + sizeof(mapped_prefix), four, 4);
    return a;
}

static bool addr_is_v4(const struct addr *a)
{
    return memcmp(a->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

struct addr addr_of(const struct sockaddr *sa)
{
    static const unsigned char loopback[4] = {127, 0, 0, 1};
    struct addr a;

    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof(in));
        return addr_of_v4(&in.sin_addr);
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof(in6));
        memcpy(a.bytes, &in6.sin6_addr, sizeof(a.bytes));
        return a;
    }
    return addr_of_v4(loopback);
}

struct str addr_text(char out[ADDR_TEXT_SIZE], const struct addr *a)
{
    const char *text = addr_is_v4(a)
                           ? inet_ntop(AF_INET, a->bytes + sizeof(mapped_prefix), out, ADDR_TEXT_SIZE)
                           : inet_ntop(AF_INET6, a->bytes, out, ADDR_TEXT_SIZE);

    return str_from(text);
}

/* Without the brackets and port that may surround an address. */
static struct str addr_strip(struct str text)
{
    ssize_t colon = str_find_byte(text, ':');
    ssize_t end;

    if (text.n != 0 && text.p[0] == '[') {
        end = str_find_byte(text, ']');
        return end > 0 ? str_of(text.p + 1, (size_t)end - 1) : STR("");
    }
    if (colon >= 0 && colon == str_rfind_byte(text, ':'))
        return str_head(text, (size_t)colon);
    return text;
}

int addr_parse(struct str text, struct addr *a)
{
    struct str bare = addr_strip(str_trim(text));
    char copy[ADDR_TEXT_SIZE];
    unsigned char four[4];

    if (bare.n == 0 || bare.n >= sizeof(copy) || memchr(bare.p, '\0', bare.n) != NULL)
        return -EINVAL;
    memcpy(copy, bare.p, bare.n);
    copy[bare.n] = '\0';
    if (inet_pton(AF_INET, copy, four) == 1) {
        *a = addr_of_v4(four);
        return 0;
    }
    return inet_pton(AF_INET6, copy, a->bytes) == 1 ? 0 : -EINVAL;
}

static int net_parse(struct str text, struct addr_net *net)
{
    struct str bits = text, address = str_cut(&bits, '/');
    int64_t value, most;

    if (addr_parse(address, &net->addr) < 0)
        return -EINVAL;
    most = addr_is_v4(&net->addr) && str_find_byte(address, ':') < 0 ? 32 : 128;
    value = most;
    if (!str_is_none(bits) && (str_to_i64(bits, &value) < 0 || value < 0 || value > most))
        return -EINVAL;
    net->bits = (unsigned)(128 - most + value);
    return 0;
}

int addr_nets_parse(struct addr_nets *nets, struct str list)
{
    *nets = (struct addr_nets){0};
    while (!str_is_none(list)) {
        struct str item = str_trim(str_cut(&list, ','));

        if (item.n == 0)
            continue;
        nets->items = mem_realloc(nets->items, (nets->count + 1) * sizeof(*nets->items));
        if (net_parse(item, &nets->items[nets->count]) < 0) {
            addr_nets_fini(nets);
            return -EINVAL;
        }
        nets->count++;
    }
    return 0;
}

void addr_nets_fini(struct addr_nets *nets)
{
    free(nets->items);
    *nets = (struct addr_nets){0};
}

static bool net_has(const struct addr_net *net, const struct addr *a)
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    unsigned mask = 0xff00u >> rest & 0xff;

    if (memcmp(net->addr.bytes, a->bytes, whole) != 0)
        return false;
    return rest == 0 || ((net->addr.bytes[whole] ^ a->bytes[whole]) & mask) == 0;
}

bool addr_nets_have(const struct addr_nets *nets, const struct addr *a)
{
    for (size_t i = 0; i < nets->count; i++) {
        if (net_has(&nets->items[i], a))
            return true;
    }
    return false;
}

/* Walks one X-Forwarded-For from its end. Whether the search is over: at an untrusted address or at what is
 * none. */
static bool forwarded_walk(struct str list, const struct addr_nets *trusted, struct addr *client)
{
    while (!str_is_none(list)) {
        ssize_t comma = str_rfind_byte(list, ',');
        struct str entry = str_from_offset(list, (size_t)(comma + 1));
        struct addr a;

        list = comma >= 0 ? str_head(list, (size_t)comma) : STR_NONE;
        if (addr_parse(entry, &a) < 0)
            return true;
        *client = a;
        if (!addr_nets_have(trusted, &a))
            return true;
    }
    return false;
}

struct addr addr_client(const struct http_head *head, const struct addr_nets *trusted,
                        const struct addr *peer)
{
    struct addr client = *peer;

    if (!addr_nets_have(trusted, peer))
        return client;
    for (size_t i = head->fields_count; i > 0; i--) {
        const struct http_field *f = &head->fields[i - 1];

        if (str_ieq(f->name, STR("x-forwarded-for")) && forwarded_walk(f->value, trusted, &client))
            break;
    }
    return client;
}
