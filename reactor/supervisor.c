#include "supervisor.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/uuid.h"
#include "listen.h"
#include "notify.h"
#include "proc.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { SUPERVISOR_PATH_MAX = 108, SUPERVISOR_TITLE_MAX = 32 };

/*
 * One instance of a process:
 *
 *      DOWN --spawn--> STARTING --it says so--> READY
 *       ^                 |                       |
 *       +--- it died -----+-----------------------+
 *                         |                       |
 *                         +---- SIGTERM, KILL ----+--> ENDING --it died--> DOWN
 *
 * DOWN with an active timer is started again when that fires.
 */
enum member_state { MEMBER_DOWN, MEMBER_STARTING, MEMBER_READY, MEMBER_ENDING, MEMBER_STATES };

static const unsigned member_next[MEMBER_STATES] = {
    [MEMBER_DOWN] = 1u << MEMBER_STARTING,
    [MEMBER_STARTING] = 1u << MEMBER_READY | 1u << MEMBER_ENDING | 1u << MEMBER_DOWN,
    [MEMBER_READY] = 1u << MEMBER_ENDING | 1u << MEMBER_DOWN,
    [MEMBER_ENDING] = 1u << MEMBER_DOWN,
};

struct member {
    const struct process *process;
    unsigned instance;
    char title[SUPERVISOR_TITLE_MAX];
    enum member_state state;
    pid_t pid;
    int control;  /* our end; -1 while DOWN */
    int listener; /* a worker's Unix socket, for as long as we live; else -1 */
    char path[SUPERVISOR_PATH_MAX];
    char node[CHILD_NODE_SIZE];
    uint64_t generation;
    unsigned deaths; /* in a row, see SUPERVISOR_STEADY_MS */
    int64_t credit;  /* see SUPERVISOR_CREDIT_MAX; as of credit_ms */
    int64_t credit_ms;
    int64_t started_ms;
    int64_t asked_ms; /* when the oldest ping without an answer was sent; 0: none is */
    ev_child died;
    ev_io told;
    ev_timer again;
};

static struct supervisor {
    struct ev_loop *ev;
    struct member *members;
    size_t members_count;
    int listeners[CHILD_LISTENERS_MAX];
    size_t listeners_count;
    char directory[SUPERVISOR_PATH_MAX];
    bool owns_directory; /* made by us, so removed by us */
    bool was_ready;
    bool is_stopping;
    int status; /* of the program */
    struct notify notify;
    ev_signal terminate, interrupt, hangup;
    ev_timer ping, watchdog, drain;
} state;

static int64_t now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

static void member_set_state(struct member *m, enum member_state next)
{
    assert(member_next[m->state] & 1u << next);
    m->state = next;
}

static bool member_is_alive(const struct member *m)
{
    return m->state != MEMBER_DOWN;
}

/* SIGTERM is sent once: a second one may not find its handler. */
static void member_signal(struct member *m, int signal_number)
{
    if (!member_is_alive(m) || (m->state == MEMBER_ENDING && signal_number == SIGTERM))
        return;
    if (m->state != MEMBER_ENDING)
        member_set_state(m, MEMBER_ENDING);
    if (kill(m->pid, signal_number) < 0)
        log_error("supervisor", "%s: kill: %s", m->title, strerror(errno));
}

/* ---- starting ---- */

static void member_start_again(struct member *m)
{
    ev_timer_set(&m->again, (double)process_backoff_ms(m->deaths) / 1000, 0.);
    ev_timer_start(state.ev, &m->again);
}

static size_t supervisor_workers(struct child_worker *workers)
{
    size_t n = 0;

    for (size_t i = 0; i < state.members_count; i++) {
        if (state.members[i].listener >= 0)
            workers[n++] = (struct child_worker){state.members[i].title, state.members[i].path};
    }
    return n;
}

static void member_spawn(struct member *m)
{
    struct child_worker workers[CHILD_WORKERS_MAX];
    struct process_start start = {
        .title = m->title,
        .instance = m->instance,
        .node = m->node,
        .generation = ++m->generation,
        .listeners = m->listener >= 0 ? &m->listener : state.listeners,
        .listeners_count = m->listener >= 0 ? 1 : state.listeners_count,
    };

    if (m->process->listens == PROCESS_LISTENS_TCP) {
        start.workers = workers;
        start.workers_count = supervisor_workers(workers);
    }
    m->pid = process_spawn(m->process, &start, &m->control);
    if (m->pid < 0) {
        log_error("supervisor", "%s cannot be started: %s", m->title, strerror(-m->pid));
        m->deaths++;
        member_start_again(m);
        return;
    }
    m->started_ms = now_ms();
    m->asked_ms = 0;
    member_set_state(m, MEMBER_STARTING);
    ev_child_set(&m->died, m->pid, 0);
    ev_child_start(state.ev, &m->died);
    ev_io_set(&m->told, m->control, EV_READ);
    ev_io_start(state.ev, &m->told);
}

static void on_again(struct ev_loop *ev UNUSED, ev_timer *w, int revents UNUSED)
{
    member_spawn(container_of(w, struct member, again));
}

/* ---- stopping ---- */

static bool supervisor_has(enum process_listen listens)
{
    for (size_t i = 0; i < state.members_count; i++) {
        if (state.members[i].process->listens == listens && member_is_alive(&state.members[i]))
            return true;
    }
    return false;
}

static void supervisor_signal(enum process_listen listens, int signal_number)
{
    for (size_t i = 0; i < state.members_count; i++) {
        struct member *m = &state.members[i];

        if (m->process->listens == listens)
            member_signal(m, signal_number);
    }
}

/* The server ends first, since it needs the workers to finish what runs. */
static void supervisor_stop_next(void)
{
    if (supervisor_has(PROCESS_LISTENS_TCP))
        return;
    if (supervisor_has(PROCESS_LISTENS_UNIX))
        supervisor_signal(PROCESS_LISTENS_UNIX, SIGTERM);
    else
        ev_break(state.ev, EVBREAK_ALL);
}

static void supervisor_kill(void)
{
    supervisor_signal(PROCESS_LISTENS_TCP, SIGKILL);
    supervisor_signal(PROCESS_LISTENS_UNIX, SIGKILL);
}

static void on_drain(struct ev_loop *ev UNUSED, ev_timer *w UNUSED, int revents UNUSED)
{
    log_warn("supervisor", "not everything ended within %d s", SUPERVISOR_DRAIN_MS / 1000);
    supervisor_kill();
}

static void supervisor_stop(int status)
{
    state.is_stopping = true;
    state.status = status;
    notify_send(&state.notify, STR("STOPPING=1"));
    for (size_t i = 0; i < state.members_count; i++)
        ev_timer_stop(state.ev, &state.members[i].again);
    ev_timer_set(&state.drain, SUPERVISOR_DRAIN_MS / 1000., 0.);
    ev_timer_start(state.ev, &state.drain);
    supervisor_signal(PROCESS_LISTENS_TCP, SIGTERM);
    supervisor_stop_next();
}

static void on_stop_signal(struct ev_loop *ev UNUSED, ev_signal *w UNUSED, int revents UNUSED)
{
    if (state.is_stopping) {
        supervisor_kill();
        return;
    }
    log_info("supervisor", "stopping");
    supervisor_stop(EXIT_SUCCESS);
}

static void on_hangup(struct ev_loop *ev UNUSED, ev_signal *w UNUSED, int revents UNUSED)
{
    log_info("supervisor", "settings are read at the start only: restart to change them");
}

/* ---- what members tell ---- */

static void supervisor_ready(void)
{
    char url[LISTEN_URL_SIZE];

    if (state.was_ready)
        return;
    state.was_ready = true;
    for (size_t i = 0; i < state.listeners_count; i++) {
        listen_url(state.listeners[i], url);
        printf("ready %s\n", url);
    }
    fflush(stdout);
    notify_send(&state.notify, STR("READY=1"));
}

static void member_told(struct member *m, char what)
{
    m->asked_ms = 0;
    if (what != CHILD_TELL_READY || m->state != MEMBER_STARTING)
        return;
    member_set_state(m, MEMBER_READY);
    log_info("supervisor", "%s is ready after %d ms", m->title, (int)(now_ms() - m->started_ms));
    if (m->process->listens == PROCESS_LISTENS_TCP)
        supervisor_ready();
}

static void on_told(struct ev_loop *ev, ev_io *w, int revents UNUSED)
{
    struct member *m = container_of(w, struct member, told);
    char what;
    ssize_t n = recv(m->control, &what, 1, MSG_DONTWAIT);

    if (n == 1)
        member_told(m, what);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        ev_io_stop(ev, w); /* it is dying; on_died follows */
}

static void member_log_death(const struct member *m, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && state.is_stopping)
        log_info("supervisor", "%s[%d] ended before it had started", m->title, (int)m->pid);
    else if (WIFSIGNALED(status))
        log_error("supervisor", "%s[%d] was killed by signal %d", m->title, (int)m->pid, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0 || !state.is_stopping)
        log_error("supervisor", "%s[%d] ended with status %d", m->title, (int)m->pid, WEXITSTATUS(status));
}

/* Whether a process that had served may come back at once. One that dies again and again soon may not. */
static bool member_spend_credit(struct member *m)
{
    int64_t earned = (now_ms() - m->credit_ms) / SUPERVISOR_CREDIT_MS;

    m->credit = m->credit + earned < SUPERVISOR_CREDIT_MAX ? m->credit + earned : SUPERVISOR_CREDIT_MAX;
    m->credit_ms = now_ms();
    if (m->credit == 0)
        return false;
    m->credit--;
    return true;
}

static void on_died(struct ev_loop *ev, ev_child *w, int revents UNUSED)
{
    struct member *m = container_of(w, struct member, died);
    bool had_served = m->state == MEMBER_READY;
    bool is_hopeless = WIFEXITED(w->rstatus) && WEXITSTATUS(w->rstatus) == CHILD_EXIT_SETTINGS;

    member_log_death(m, w->rstatus);
    ev_child_stop(ev, w);
    ev_io_stop(ev, &m->told);
    (void)close(m->control);
    m->control = -1;
    member_set_state(m, MEMBER_DOWN);
    if (now_ms() - m->started_ms >= SUPERVISOR_STEADY_MS || (had_served && member_spend_credit(m)))
        m->deaths = 0;
    m->deaths++;
    if (state.is_stopping)
        supervisor_stop_next();
    else if (is_hopeless)
        supervisor_stop(EXIT_FAILURE);
    else
        member_start_again(m);
}

/* ---- liveness ---- */

static void member_ask(struct member *m)
{
    int64_t now = now_ms();

    /* Half a period of tolerance: the timer may be early by a little. */
    if (m->asked_ms != 0 && now - m->asked_ms >= SUPERVISOR_SILENCE_MS - SUPERVISOR_PING_MS / 2) {
        log_error("supervisor", "%s[%d] is silent for %d s", m->title, (int)m->pid,
                  (int)((now - m->asked_ms + 500) / 1000));
        member_signal(m, SIGKILL);
        return;
    }
    if (send(m->control, "?", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        return; /* it is dying; on_died follows */
    if (m->asked_ms == 0)
        m->asked_ms = now;
}

static void on_ping(struct ev_loop *ev UNUSED, ev_timer *w UNUSED, int revents UNUSED)
{
    for (size_t i = 0; i < state.members_count; i++) {
        struct member *m = &state.members[i];

        if (m->process->is_watched && (m->state == MEMBER_STARTING || m->state == MEMBER_READY))
            member_ask(m);
    }
}

static void on_watchdog(struct ev_loop *ev UNUSED, ev_timer *w UNUSED, int revents UNUSED)
{
    notify_send(&state.notify, STR("WATCHDOG=1"));
}

/* ---- setting up ---- */

static int supervisor_make_directory(void)
{
    const char *given = getenv("RUNTIME_DIRECTORY");

    snprintf(state.directory, sizeof(state.directory), "%s", given != NULL ? given : "/tmp/sinas-XXXXXX");
    if (given == NULL) {
        if (mkdtemp(state.directory) == NULL)
            return -errno;
        state.owns_directory = true;
    } else if (strlen(given) >= sizeof(state.directory)) {
        return -ENAMETOOLONG;
    }
    return process_own(state.directory);
}

static int supervisor_listen(void)
{
    int n = listen_inherited(state.listeners, nelem(state.listeners));

    if (n == 0)
        n = listen_tcp(conf.host, (unsigned)conf.port, state.listeners, nelem(state.listeners));
    if (n < 0)
        return n;
    state.listeners_count = (size_t)n;
    return 0;
}

static int member_init(struct member *m, const struct process *p, unsigned instance)
{
    struct uuid node = uuid_new();

    *m = (struct member){.process = p, .instance = instance, .control = -1, .listener = -1};
    ev_init(&m->died, on_died);
    ev_init(&m->told, on_told);
    ev_init(&m->again, on_again);
    uuid_write(m->node, &node);
    if (p->listens == PROCESS_LISTENS_TCP && instance == 0)
        snprintf(m->title, sizeof(m->title), "%s", p->title);
    else
        snprintf(m->title, sizeof(m->title), "%s-%u", p->title, instance);
    if (p->listens == PROCESS_LISTENS_TCP)
        return 0;
    if ((size_t)snprintf(m->path, sizeof(m->path), "%s/%s.sock", state.directory, m->title) >=
        sizeof(m->path))
        return -ENAMETOOLONG;
    m->listener = listen_unix(m->path);
    return m->listener < 0 ? m->listener : process_own(m->path);
}

static int supervisor_make_members(void)
{
    size_t workers = 0;

    for (size_t i = 0; i < processes_count; i++)
        state.members_count += processes[i].instances();
    state.members = mem_zalloc(state.members_count * sizeof(*state.members));
    state.members_count = 0;
    for (size_t i = 0; i < processes_count; i++) {
        unsigned instances = processes[i].instances();

        workers += processes[i].listens == PROCESS_LISTENS_UNIX ? instances : 0;
        if (workers > CHILD_WORKERS_MAX)
            return -E2BIG;
        for (unsigned k = 0; k < instances; k++) {
            int rc = member_init(&state.members[state.members_count++], &processes[i], k);

            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static void supervisor_watch(void)
{
    ev_signal_init(&state.terminate, on_stop_signal, SIGTERM);
    ev_signal_init(&state.interrupt, on_stop_signal, SIGINT);
    ev_signal_init(&state.hangup, on_hangup, SIGHUP);
    ev_signal_start(state.ev, &state.terminate);
    ev_signal_start(state.ev, &state.interrupt);
    ev_signal_start(state.ev, &state.hangup);
    ev_init(&state.drain, on_drain);
    ev_timer_init(&state.ping, on_ping, SUPERVISOR_PING_MS / 1000., SUPERVISOR_PING_MS / 1000.);
    ev_timer_start(state.ev, &state.ping);
    if (state.notify.watchdog_us != 0) {
        double period = (double)state.notify.watchdog_us / 2e6;

        ev_timer_init(&state.watchdog, on_watchdog, period, period);
        ev_timer_start(state.ev, &state.watchdog);
    }
}

static int supervisor_open(void)
{
    int rc;

    notify_open(&state.notify);
    rc = supervisor_listen();
    if (rc == 0)
        rc = supervisor_make_directory();
    if (rc == 0)
        rc = supervisor_make_members();
    if (rc < 0)
        log_error("supervisor", "cannot start: %s", strerror(-rc));
    return rc;
}

static void supervisor_close(void)
{
    for (size_t i = 0; i < state.members_count; i++) {
        if (state.members[i].listener < 0)
            continue;
        (void)close(state.members[i].listener);
        (void)unlink(state.members[i].path);
    }
    free(state.members);
    if (state.owns_directory)
        (void)rmdir(state.directory);
}

int supervisor_run(void)
{
    state.status = EXIT_FAILURE;
    state.ev = ev_default_loop(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (state.ev != NULL && supervisor_open() == 0) {
        supervisor_watch();
        for (size_t i = 0; i < state.members_count; i++)
            member_spawn(&state.members[i]);
        ev_run(state.ev, 0);
        ev_loop_destroy(state.ev);
    }
    supervisor_close();
    return state.status;
}
