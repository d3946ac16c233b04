#include "listen.h"

#include "base/log.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { LISTEN_HOST_SIZE = 256, LISTEN_INHERITED_FIRST = 3 };

static int listen_address(const struct addrinfo *address)
{
    AUTO_CLOSE int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -errno;
    if (address->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
        return -errno;
    if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return -errno;
    return fd_take(&fd);
}

/* Opens all addresses of one host behind the count that are open already. 0 or -errno. */
static int listen_host(const char *host, const char *port, int *fds, size_t max, size_t *count)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses;
    int rc = getaddrinfo(host, port, &hints, &addresses);

    if (rc != 0) {
        log_error("listen", "HOST %s: %s", host, gai_strerror(rc));
        return -EADDRNOTAVAIL;
    }
    rc = 0;
    for (struct addrinfo *each = addresses; each != NULL && rc >= 0; each = each->ai_next) {
        rc = *count < max ? listen_address(each) : -E2BIG;
        if (rc >= 0)
            fds[(*count)++] = rc;
        else
            log_error("listen", "%s port %s: %s", host, port, strerror(-rc));
    }
    freeaddrinfo(addresses);
    return rc < 0 ? rc : 0;
}

int listen_tcp(struct str hosts, unsigned port, int *fds, size_t max)
{
    char port_text[16];
    size_t count = 0;

    snprintf(port_text, sizeof(port_text), "%u", port);
    while (!str_is_none(hosts)) {
        struct str host = str_trim(str_cut(&hosts, ','));
        char name[LISTEN_HOST_SIZE];
        int rc;

        if (host.n == 0)
            continue;
        if (host.n >= sizeof(name))
            return -EINVAL;
        snprintf(name, sizeof(name), STR_FMT, STR_ARG(host));
        rc = listen_host(name, port_text, fds, max, &count);
        if (rc < 0)
            return rc;
    }
    if (count == 0)
        log_error("listen", "HOST names no address");
    return count != 0 ? (int)count : -EADDRNOTAVAIL;
}

/* The value of a numeric environment variable, or -1. */
static int64_t listen_variable(const char *name)
{
    int64_t value;

    return str_to_i64(str_from(getenv(name)), &value) < 0 ? -1 : value;
}

int listen_inherited(int *fds, size_t max)
{
    int64_t count = listen_variable("LISTEN_FDS");
    bool is_ours = listen_variable("LISTEN_PID") == getpid();

    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDNAMES");
    if (!is_ours || count <= 0)
        return 0;
    if ((uint64_t)count > max)
        return -E2BIG;
    for (int i = 0; i < count; i++) {
        fds[i] = LISTEN_INHERITED_FIRST + i;
        if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) < 0 || fcntl(fds[i], F_SETFL, O_NONBLOCK) < 0) {
            log_error("listen", "inherited descriptor %d: %s", fds[i], strerror(errno));
            return -errno;
        }
    }
    return (int)count;
}

int listen_unix(const char *path)
{
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    /* The mode of the directory protects it from the start; this is the second lock. */
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0600) < 0)
        return -errno;
    if (listen(fd, LISTEN_BACKLOG) < 0)
        return -errno;
    return fd_take(&fd);
}

void listen_url(int fd, char out[LISTEN_URL_SIZE])
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char host[LISTEN_HOST_SIZE] = "localhost", port[16] = "0";
    const char *shown = host;
    bool is_v6;

    (void)getsockname(fd, (struct sockaddr *)&address, &size);
    (void)getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                      NI_NUMERICHOST | NI_NUMERICSERV);
    if (strcmp(host, "0.0.0.0") == 0)
        shown = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        shown = "::1";
    is_v6 = strchr(shown, ':') != NULL;
    snprintf(out, LISTEN_URL_SIZE, "http://%s%s%s:%s", is_v6 ? "[" : "", shown, is_v6 ? "]" : "", port);
}
