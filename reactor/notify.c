#include "notify.h"

#include "base/log.h"

#include <sys/socket.h>
#include <sys/un.h>

static int notify_connect(struct str path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (path.n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path.p, path.n);
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0'; /* an abstract name */
    if (connect(fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n)) < 0)
        return -errno;
    return fd_take(&fd);
}

static int64_t notify_watchdog_us(void)
{
    struct str pid_text = str_from(getenv("WATCHDOG_PID"));
    int64_t us, pid;

    if (str_to_i64(str_from(getenv("WATCHDOG_USEC")), &us) < 0 || us <= 0)
        return 0;
    if (!str_is_none(pid_text) && (str_to_i64(pid_text, &pid) < 0 || pid != getpid()))
        return 0;
    return us;
}

void notify_open(struct notify *n)
{
    struct str path = str_from(getenv("NOTIFY_SOCKET"));

    *n = (struct notify){.fd = -1};
    if (path.n != 0) {
        n->fd = notify_connect(path);
        n->watchdog_us = notify_watchdog_us();
        if (n->fd < 0)
            log_warn("notify", "NOTIFY_SOCKET: %s", strerror(-n->fd));
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

void notify_send(const struct notify *n, struct str text)
{
    if (n->fd >= 0 && send(n->fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_warn("notify", "systemd: %s", strerror(errno));
}
