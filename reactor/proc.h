/*
 * The processes of `sinas serve`: one table, and how one of them comes to life.
 *
 * A process is the same program executed again (`sinas --process TITLE …`), so
 * that it starts with clean memory and its own layout. What it may do is
 * decided in one place, process_main(), before its entry runs.
 */
#ifndef REACTOR_PROC_H
#define REACTOR_PROC_H

#include "core/child.h"

#include <sys/types.h>

enum process_listen {
    PROCESS_LISTENS_TCP, /* gets the public sockets and the addresses of all workers */
    PROCESS_LISTENS_UNIX /* a worker: each instance has a Unix socket, which outlives it */
};

struct process {
    const char *title;
    int (*run)(int argc, char **argv); /* its exit status */
    unsigned (*instances)(void);       /* how many of them run */
    enum process_listen listens;
    bool is_watched; /* killed when its loop is silent for SUPERVISOR_SILENCE_MS */
};

extern const struct process processes[];
extern const size_t processes_count;

/* What one instance is given. */
struct process_start {
    const char *title;
    unsigned instance;
    const char *node;
    uint64_t generation;
    const int *listeners;
    size_t listeners_count;
    const struct child_worker *workers;
    size_t workers_count;
};

/* Starts an instance. Its pid, and in *control our end of the socket between us; or -errno. */
MUST_USE pid_t process_spawn(const struct process *p, const struct process_start *start, int *control);

/* How long to wait before starting again what has died so many times in a row: at once, then 100 ms … 2 s. */
int64_t process_backoff_ms(unsigned deaths);

/* Lets the user that processes run as (RUN_USER) own the file; nothing changes unless we are root. 0 or
 * -errno. */
MUST_USE int process_own(const char *path);

/* `sinas --process TITLE …`: gives up rights, then runs the entry. */
int process_main(int argc, char **argv);

/* What every process of the program does first, the supervisor too: limits, no core dumps with secrets in
 * them. */
void process_harden(void);

#endif
