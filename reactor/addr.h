/*
 * Network addresses of clients: IPv4 and IPv6 in one form, networks in CIDR
 * notation, and whom a request that came through proxies is from (spec 10 §1.9).
 */
#ifndef REACTOR_ADDR_H
#define REACTOR_ADDR_H

#include "http.h"

#include <sys/socket.h>

struct addr {
    unsigned char bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};

enum { ADDR_TEXT_SIZE = 46 };

/* Dotted or colon notation, [brackets] and :port allowed as proxies write them. 0 or -EINVAL. */
MUST_USE int addr_parse(struct str text, struct addr *a);
/* A client on a Unix socket is on this machine: 127.0.0.1. */
struct addr addr_of(const struct sockaddr *sa);
struct str addr_text(char out[ADDR_TEXT_SIZE], const struct addr *a);

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

struct addr_net {
    struct addr addr;
    unsigned bits;
};

struct addr_nets {
    struct addr_net *items;
    size_t count;
};

/* A comma list of addresses and networks; free with addr_nets_fini(). 0, or -EINVAL and nothing to free. */
MUST_USE int addr_nets_parse(struct addr_nets *nets, struct str list);
void addr_nets_fini(struct addr_nets *nets);
bool addr_nets_have(const struct addr_nets *nets, const struct addr *a);

/* The client of a request that arrived from peer: behind trusted proxies the last address that is none of
 * them. */
struct addr addr_client(const struct http_head *head, const struct addr_nets *trusted,
                        const struct addr *peer);

#endif
