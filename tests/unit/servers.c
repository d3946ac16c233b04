#include "servers.h"

#include <sys/wait.h>

enum { PATIENCE_MS = 20000, STEP_MS = 5 };

struct loop *servers_loop(void)
{
    static struct loop l;

    if (l.ev == NULL)
        loop_init(&l);
    return &l;
}

struct job {
    void (*fn)(void *arg);
    void *arg;
};

static void run_job(void *arg)
{
    struct job *job = arg;

    job->fn(job->arg);
    loop_stop(servers_loop());
}

void servers_run_task(void (*fn)(void *arg), void *arg)
{
    struct job job = {fn, arg};

    (void)task_spawn(servers_loop(), "test", run_job, &job);
    loop_run(servers_loop());
}

struct str servers_url(const char *name)
{
    return str_from(getenv(name));
}

bool servers_wait_await(bool (*is_so)(void *arg), void *arg)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
        if (is_so(arg))
            return true;
        if (task_sleep_await(STEP_MS) < 0)
            break;
    }
    return false;
}

static bool has_ended(void *arg)
{
    int status = 0;

    if (waitpid(*(pid_t *)arg, &status, WNOHANG) == 0)
        return false;
    CHECK_INT(status, 0);
    return true;
}

void servers_do_await(const char *action)
{
    const char *script = getenv("TEST_SERVERS");
    const char *directory = getenv("TEST_DIRECTORY");
    pid_t pid;

    if (script == NULL)
        script = "tests/servers";
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        execl(script, script, action, directory, (char *)NULL);
        _exit(127);
    }
    CHECK(pid > 0 && servers_wait_await(has_ended, &pid));
}
