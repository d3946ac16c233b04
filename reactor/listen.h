/*
 * Listening sockets: of HOST and PORT, or the ones that systemd passes, and
 * the Unix sockets on which workers are reached.
 */
#ifndef REACTOR_LISTEN_H
#define REACTOR_LISTEN_H

#include "base/str.h"

enum { LISTEN_BACKLOG = 4096, LISTEN_URL_SIZE = 300 };

/*
 * Opens one socket per address of every host in the comma list. At most max
 * descriptors go into fds, all of them close-on-exec and non-blocking. The number
 * of them or -errno; what failed is logged.
 */
MUST_USE int listen_tcp(struct str hosts, unsigned port, int *fds, size_t max);

/* Takes over the sockets of socket activation (LISTEN_FDS). Their number, 0 without any, or -errno. */
MUST_USE int listen_inherited(int *fds, size_t max);

/* A listening Unix socket at path, which is replaced; nobody but its owner may connect. The descriptor or
 * -errno. */
MUST_USE int listen_unix(const char *path);

/* How a person on this machine reaches the socket: http://HOST:PORT. */
void listen_url(int fd, char out[LISTEN_URL_SIZE]);

#endif
