/* For tests with servers: a loop and a task to run in, and the private servers to stop and start. */
#ifndef TESTS_UNIT_SERVERS_H
#define TESTS_UNIT_SERVERS_H

#include "core/task.h"
#include "test.h"

/* The loop of all tests that use servers. */
struct loop *servers_loop(void);

/* Runs fn(arg) in a task until it returns. */
void servers_run_task(void (*fn)(void *arg), void *arg);

/* Of an environment variable that is set. */
struct str servers_url(const char *name);

/* Runs `tests/servers action directory` as a child while the loop goes on. */
void servers_do_await(const char *action);

/* Calls is_so(arg) once per turn until it says yes. False after some seconds: the test has failed. */
bool servers_wait_await(bool (*is_so)(void *arg), void *arg);

#endif
