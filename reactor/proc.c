#include "proc.h"

#include "base/conf.h"
#include "base/log.h"
#include "handlers/app.h"
#include "workers/llm.h"
#include "workers/outbound.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__)
#define PROC_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PROC_SANITIZED
#endif
#endif

enum { PROCESS_BACKOFF_FIRST_MS = 100, PROCESS_BACKOFF_MAX_MS = 2000 };

/* Four words in front (process_arguments), 2 per option, and NULL. */
enum { PROCESS_ARGS_MAX = 4 + 1 + 2 * (4 + CHILD_LISTENERS_MAX + CHILD_WORKERS_MAX) + 1 };

static unsigned reactor_instances(void)
{
    return (unsigned)conf.uvicorn_workers;
}

static unsigned llm_instances(void)
{
    return (unsigned)conf.llm_workers;
}

static unsigned one_instance(void)
{
    return 1;
}

const struct process processes[] = {
    {"reactor", app_main, reactor_instances, PROCESS_LISTENS_TCP, true},
    {"llm", llm_main, llm_instances, PROCESS_LISTENS_UNIX, true},
    {"outbound", outbound_main, one_instance, PROCESS_LISTENS_UNIX, true},
};
const size_t processes_count = nelem(processes);

static const struct process *process_find(struct str title)
{
    for (size_t i = 0; i < processes_count; i++) {
        if (str_eq(title, str_from(processes[i].title)))
            return &processes[i];
    }
    return NULL;
}

int64_t process_backoff_ms(unsigned deaths)
{
    int64_t ms = PROCESS_BACKOFF_FIRST_MS;

    if (deaths <= 1)
        return 0;
    for (unsigned i = 2; i < deaths && ms < PROCESS_BACKOFF_MAX_MS; i++)
        ms *= 2;
    return ms < PROCESS_BACKOFF_MAX_MS ? ms : PROCESS_BACKOFF_MAX_MS;
}

/* ---- the supervisor's half ---- */

static void process_option(struct arena *a, char **argv, size_t *n, const char *name, const char *value)
{
    argv[(*n)++] = arena_cstr(a, str_from(name));
    argv[(*n)++] = arena_cstr(a, str_from(value));
}

/* The first word is what ps shows; process_main() reads the rest. */
static void process_arguments(struct arena *a, const struct process *p, const struct process_start *s,
                              int control, char **argv)
{
    size_t n = 0;

    argv[n++] = arena_printf(a, "sinas: %s", s->title);
    process_option(a, argv, &n, "--process", p->title);
    argv[n++] = arena_printf(a, "%d", (int)getpid());
    argv[n++] = arena_cstr(a, str_from(s->title));
    process_option(a, argv, &n, "--instance", arena_printf(a, "%u", s->instance));
    process_option(a, argv, &n, "--control", arena_printf(a, "%d", control));
    process_option(a, argv, &n, "--node", s->node);
    process_option(a, argv, &n, "--generation", arena_printf(a, "%" PRIu64, s->generation));
    for (size_t i = 0; i < s->listeners_count; i++)
        process_option(a, argv, &n, "--listen", arena_printf(a, "%d", s->listeners[i]));
    for (size_t i = 0; i < s->workers_count; i++)
        process_option(a, argv, &n, "--worker",
                       arena_printf(a, "%s=%s", s->workers[i].title, s->workers[i].path));
    argv[n] = NULL;
    assert(n < PROCESS_ARGS_MAX);
}

/* In the forked child: only the descriptors that are named on the command line survive. */
static NORETURN void process_execute(const struct process_start *s, int control, char **argv)
{
    sigset_t none;
    int rc = fcntl(control, F_SETFD, 0);

    for (size_t i = 0; i < s->listeners_count && rc == 0; i++)
        rc = fcntl(s->listeners[i], F_SETFD, 0);
    sigemptyset(&none);
    if (rc == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execv("/proc/self/exe", argv); /* this very file, even when a newer one has taken its place */
    log_error("proc", "%s cannot be executed: %s", s->title, strerror(errno));
    _exit(127);
}

pid_t process_spawn(const struct process *p, const struct process_start *start, int *control)
{
    char *argv[PROCESS_ARGS_MAX];
    int pair[2];
    struct arena a;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    arena_init(&a);
    process_arguments(&a, p, start, pair[1], argv);
    pid = fork();
    if (pid == 0)
        process_execute(start, pair[1], argv);
    if (pid < 0)
        pid = -errno;
    arena_fini(&a);
    (void)close(pair[1]);
    if (pid < 0)
        (void)close(pair[0]);
    else
        *control = pair[0];
    return pid;
}

/* ---- the process's half ---- */

/* The user to become; NULL with 0: none, we stay who we are. 0 or -errno. */
static int process_user(const struct passwd **user)
{
    char name[64];

    *user = NULL;
    if (geteuid() != 0 || conf.run_user.n == 0)
        return 0;
    if (conf.run_user.n >= sizeof(name))
        return -EINVAL;
    snprintf(name, sizeof(name), STR_FMT, STR_ARG(conf.run_user));
    errno = 0;
    *user = getpwnam(name);
    if (*user != NULL)
        return 0;
    log_error("proc", "RUN_USER names no user of this system");
    return errno != 0 ? -errno : -ENOENT;
}

int process_own(const char *path)
{
    const struct passwd *user;
    int rc = process_user(&user);

    if (rc < 0 || user == NULL)
        return rc;
    return chown(path, user->pw_uid, user->pw_gid) < 0 ? -errno : 0;
}

static int rights_leave_bounding_set(void)
{
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EPERM)
            return -errno; /* EPERM: without CAP_SETPCAP it is out of reach, and so are the capabilities */
    }
    return 0;
}

static int rights_change_user(void)
{
    const struct passwd *user;
    int rc = process_user(&user);

    if (rc < 0 || user == NULL)
        return rc;
    if (setgroups(1, &user->pw_gid) < 0 || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
        return -errno;
    return 0;
}

static bool rights_has_none(const struct __user_cap_data_struct *held)
{
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        if (held[i].effective != 0 || held[i].permitted != 0 || held[i].inheritable != 0)
            return false;
    }
    return true;
}

/* Nothing is called that would change nothing: a hardened unit forbids the very call. */
static int rights_leave_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {{0}},
                                  none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -errno;
    if (syscall(SYS_capget, &header, held) < 0)
        return -errno;
    if (rights_has_none(held))
        return 0;
    return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int rights_refuse_new(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* A setting that a change of the user undoes: hence behind it, and after that nobody may read our memory. */
static int rights_hide_memory(void)
{
    process_harden();
    return 0;
}

/* The order matters: each step needs rights that a later one takes away. */
static const struct rights_step {
    const char *name;
    int (*take)(void);
} rights_steps[] = {
    {"leave the capability bounding set", rights_leave_bounding_set},
    {"become RUN_USER", rights_change_user},
    {"leave all capabilities", rights_leave_capabilities},
    {"refuse new privileges", rights_refuse_new},
    {"hide memory", rights_hide_memory},
};

static int rights_drop(void)
{
    for (size_t i = 0; i < nelem(rights_steps); i++) {
        int rc = rights_steps[i].take();

        if (rc < 0) {
            log_error("proc", "cannot %s: %s", rights_steps[i].name, strerror(-rc));
            return rc;
        }
    }
    return 0;
}

/* We end with the supervisor. It may have ended already, before the kernel was told. */
static int process_follow(struct str parent)
{
    int64_t pid;

    if (str_to_i64(parent, &pid) < 0)
        return -EINVAL;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -errno;
    return getppid() == pid ? 0 : -ESRCH;
}

void process_harden(void)
{
    struct rlimit files, none = {0, 0};

    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef PROC_SANITIZED /* its leak check attaches to the process */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int process_main(int argc, char **argv)
{
    const struct process *p = argc > 3 ? process_find(str_from(argv[1])) : NULL;
    struct str reason;

    if (p == NULL || child_enter(argc - 3, argv + 3) < 0) {
        fprintf(stderr, "sinas: --process is for the program itself\n");
        return 2;
    }
    (void)prctl(PR_SET_NAME, child_self()->title, 0, 0, 0);
    (void)signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C reaches all of us; the supervisor passes it on */
    (void)signal(SIGHUP, SIG_IGN);
    if (conf_init(&reason) < 0) {
        log_error("conf", STR_FMT, STR_ARG(reason));
        return CHILD_EXIT_SETTINGS;
    }
    log_init(child_self()->title, conf.log_least);
    if (rights_drop() < 0)
        return CHILD_EXIT_SETTINGS;
    if (process_follow(str_from(argv[2])) < 0)
        return 1;
    return p->run(1, argv + 3);
}
