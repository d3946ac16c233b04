/*
 * A process of `sinas serve`, seen from inside: what its supervisor gave it
 * (descriptors, names) and how it reports back. The supervisor's side is
 * supervisor.c, the list of processes proc.c.
 *
 * A process's entry does: loop_init, child_start, its own set-up, child_ready, loop_run.
 */
#ifndef CORE_CHILD_H
#define CORE_CHILD_H

#include "core/loop.h"

enum { CHILD_LISTENERS_MAX = 32, CHILD_WORKERS_MAX = 64, CHILD_NODE_SIZE = 37 };

/* Exit status of a process that cannot run with these settings: the supervisor gives up instead of trying
 * again. */
enum { CHILD_EXIT_SETTINGS = 78 };

/* Where a worker is reached: connect to it whenever a connection is needed. The socket outlives the worker.
 */
struct child_worker {
    const char *title; /* "llm-0" */
    const char *path;  /* of its Unix socket */
};

struct child {
    const char *title;                  /* "reactor", "reactor-1", "llm-0" */
    unsigned instance;                  /* 0 … */
    char node[CHILD_NODE_SIZE];         /* a uuid: of this instance, however often it is started again */
    uint64_t generation;                /* how many times this process was started, from 1 */
    int listeners[CHILD_LISTENERS_MAX]; /* listening already: TCP for the reactor, one Unix socket for a
                                           worker */
    size_t listeners_count;
    struct child_worker workers[CHILD_WORKERS_MAX]; /* for the reactor */
    size_t workers_count;
};

/* Valid from before the entry runs until the process ends. */
const struct child *child_self(void);

/*
 * From now on the loop answers the supervisor, which kills a process that it watches and that is silent for
 * 10 s, and stop(arg) is called once when the process shall end (SIGTERM). It then has 10 s.
 */
void child_start(struct loop *l, void (*stop)(void *arg), void *arg);

/* The process serves now. Only the first call counts. */
void child_ready(void);

/* What a process tells its supervisor, one byte each; whatever the supervisor sends is answered with ALIVE.
 */
enum child_tell { CHILD_TELL_READY = 'R', CHILD_TELL_ALIVE = 'A' };

/* Reads what the supervisor passed: the title, then options with one value each (proc.c). 0 or -EINVAL. */
MUST_USE int child_enter(int argc, char **argv);

/* The same to be filled by tests that run a process's code without a supervisor. */
struct child *child_settings(void);

#endif
