#include "core/trim.h"

#include "base/str.h"
#include "core/task.h"

#include <fcntl.h>
#include <malloc.h>

/* Of this process; 0 when the system does not say. */
static size_t resident_bytes(void)
{
    AUTO_CLOSE int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char text[128];
    struct str rest, pages;
    int64_t resident;
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;

    if (n <= 0)
        return 0;
    rest = str_of(text, (size_t)n);
    (void)str_cut(&rest, ' '); /* all of its address space */
    pages = str_cut(&rest, ' ');
    return str_to_i64(pages, &resident) == 0 ? (size_t)(resident * sysconf(_SC_PAGESIZE)) : 0;
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents UNUSED)
{
    struct trim *t = container_of(w, struct trim, timer);
    uint64_t before = t->switches;
    size_t resident;

    t->switches = t->loop->switches;
    if (t->switches - before > TRIM_SWITCHES)
        return; /* again after the same time */
    ev_timer_stop(ev, w);
    task_trim();
    resident = resident_bytes();
    if (resident > t->resident + TRIM_BYTES) {
        (void)malloc_trim(0);
        t->resident = resident_bytes();
    } else if (resident < t->resident) {
        t->resident = resident;
    }
}

void trim_init(struct trim *t, struct loop *l)
{
    t->loop = l;
    t->switches = 0;
    t->resident = resident_bytes();
    ev_timer_init(&t->timer, on_timer, 0, TRIM_AFTER_MS / 1000.0);
}

void trim_fini(struct trim *t)
{
    ev_timer_stop(t->loop->ev, &t->timer);
}
