/* What systemd wants to hear of a service of Type=notify (sd_notify(3)), without libsystemd. */
#ifndef REACTOR_NOTIFY_H
#define REACTOR_NOTIFY_H

#include "base/str.h"

struct notify {
    int fd;              /* connected to NOTIFY_SOCKET; -1: nobody listens */
    int64_t watchdog_us; /* systemd wants to hear WATCHDOG=1 at least this often; 0: it does not */
};

/* Reads the variables and removes them, so that no child speaks for us. */
void notify_open(struct notify *n);

/* "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…". */
void notify_send(const struct notify *n, struct str text);

#endif
