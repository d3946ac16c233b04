/*
 * Host names to addresses without holding up the loop: getaddrinfo() in a
 * thread of its own, which touches nothing else. When the name server is away, a look-up
 * takes many seconds, and it is asked most when everything else is failing too.
 */
#ifndef CORE_RESOLVE_H
#define CORE_RESOLVE_H

#include "base/str.h"
#include "core/loop.h"

struct resolve;

/* address is numeric, NULL when the name has none. Lives during the call, in which the look-up ends. */
typedef void (*resolve_done_fn)(void *arg, const char *address);

/* Whether it is a name at all, and no address or path of a socket. */
bool resolve_is_needed(const char *host);

/*
 * turn picks one of several addresses, modulo their number: callers that count
 * their attempts reach all of them. done is called later. NULL when no
 * thread can be had.
 */
struct resolve *resolve_start(struct loop *l, const char *host, unsigned turn, resolve_done_fn done,
                              void *arg);
/* done will not be called. */
void resolve_cancel(struct resolve *r);

#endif
