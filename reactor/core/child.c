#include "core/child.h"

#include "base/log.h"

#include <sys/socket.h>

static struct {
    struct child child;
    int control; /* to the supervisor; -1 without one */
    bool is_ready;
    void (*stop)(void *arg);
    void *stop_arg;
    ev_io readable;
    ev_signal terminate;
} state = {.control = -1};

const struct child *child_self(void)
{
    return &state.child;
}

struct child *child_settings(void)
{
    return &state.child;
}

/* One byte per message; a full socket means that the supervisor is stuck, and nothing can be done about it.
 */
static void child_tell(char what)
{
    if (state.control >= 0 && send(state.control, &what, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_warn("child", "supervisor: %s", strerror(errno));
}

static void on_control(struct ev_loop *ev, ev_io *w, int revents UNUSED)
{
    char asked[16];
    ssize_t n = recv(w->fd, asked, sizeof(asked), MSG_DONTWAIT);

    if (n > 0) {
        child_tell(CHILD_TELL_ALIVE);
    } else if (n == 0) {
        log_error("child", "the supervisor is gone");
        ev_io_stop(ev, w);
        _exit(1);
    }
}

static void on_terminate(struct ev_loop *ev, ev_signal *w, int revents UNUSED)
{
    ev_signal_stop(ev, w);
    state.stop(state.stop_arg);
}

void child_start(struct loop *l, void (*stop)(void *arg), void *arg)
{
    state.stop = stop;
    state.stop_arg = arg;
    ev_signal_init(&state.terminate, on_terminate, SIGTERM);
    ev_signal_start(l->ev, &state.terminate);
    if (state.control < 0)
        return;
    ev_io_init(&state.readable, on_control, state.control, EV_READ);
    ev_io_start(l->ev, &state.readable);
}

void child_ready(void)
{
    if (!state.is_ready)
        child_tell(CHILD_TELL_READY);
    state.is_ready = true;
}

static int child_number(struct str text, int64_t least, int64_t most, int64_t *number)
{
    if (str_to_i64(text, number) < 0 || *number < least || *number > most)
        return -EINVAL;
    return 0;
}

static int child_take_instance(struct child *c, struct str value)
{
    int64_t number;

    if (child_number(value, 0, 1000, &number) < 0)
        return -EINVAL;
    c->instance = (unsigned)number;
    return 0;
}

static int child_take_control(struct child *c UNUSED, struct str value)
{
    int64_t fd;

    if (child_number(value, 0, INT32_MAX, &fd) < 0)
        return -EINVAL;
    state.control = (int)fd;
    return 0;
}

static int child_take_node(struct child *c, struct str value)
{
    if (value.n != sizeof(c->node) - 1)
        return -EINVAL;
    memcpy(c->node, value.p, sizeof(c->node));
    return 0;
}

static int child_take_generation(struct child *c, struct str value)
{
    int64_t number;

    if (child_number(value, 1, INT64_MAX, &number) < 0)
        return -EINVAL;
    c->generation = (uint64_t)number;
    return 0;
}

static int child_take_listener(struct child *c, struct str value)
{
    int64_t fd;

    if (c->listeners_count == CHILD_LISTENERS_MAX || child_number(value, 0, INT32_MAX, &fd) < 0)
        return -EINVAL;
    c->listeners[c->listeners_count++] = (int)fd;
    return 0;
}

/* TITLE=PATH; the = becomes the end of the title, in the argument itself. */
static int child_take_worker(struct child *c, struct str value)
{
    char *separator = strchr(value.p, '=');

    if (c->workers_count == CHILD_WORKERS_MAX || separator == NULL)
        return -EINVAL;
    *separator = '\0';
    c->workers[c->workers_count++] = (struct child_worker){value.p, separator + 1};
    return 0;
}

static const struct child_option {
    struct str name;
    int (*take)(struct child *c, struct str value);
} child_options[] = {
    {STR_INIT("--instance"), child_take_instance}, {STR_INIT("--control"), child_take_control},
    {STR_INIT("--node"), child_take_node},         {STR_INIT("--generation"), child_take_generation},
    {STR_INIT("--listen"), child_take_listener},   {STR_INIT("--worker"), child_take_worker},
};

static int child_option(struct child *c, struct str name, struct str value)
{
    for (size_t i = 0; i < nelem(child_options); i++) {
        if (str_eq(name, child_options[i].name))
            return child_options[i].take(c, value);
    }
    return -EINVAL;
}

int child_enter(int argc, char **argv)
{
    state.child = (struct child){.title = argv[0]};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (child_option(&state.child, str_from(argv[i]), str_from(argv[i + 1])) < 0)
            return -EINVAL;
    }
    return argc % 2 == 1 ? 0 : -EINVAL;
}
