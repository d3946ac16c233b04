/*
 * The supervisor: starts the processes of the table (proc.h), starts again what
 * dies, and ends them in order. It holds what must outlive them: the
 * listening sockets of the server and of each worker.
 */
#ifndef REACTOR_SUPERVISOR_H
#define REACTOR_SUPERVISOR_H

enum {
    SUPERVISOR_PING_MS = 5000,     /* how often a watched process is asked whether it lives */
    SUPERVISOR_SILENCE_MS = 10000, /* without an answer for so long it is killed */
    SUPERVISOR_STEADY_MS = 10000,  /* having lived so long, a death counts as the first again */
    SUPERVISOR_CREDIT_MAX = 16,    /* deaths after being ready that are answered at once … */
    SUPERVISOR_CREDIT_MS =
        250, /* … one more per such time: what kills a process now and then costs nobody a wait */
    SUPERVISOR_DRAIN_MS = 10000 /* between SIGTERM and SIGKILL */
};

/* Serves until SIGTERM or SIGINT; a second one ends everything at once. The exit status of the program. */
int supervisor_run(void);

#endif
