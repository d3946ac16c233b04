/*
 * Loaded into the server by LD_PRELOAD: makes the n-th call of one kind fail in
 * the process whose title is FAIL_PROCESS. Others are left alone. Which kind and which n a
 * test writes into the file FAIL_FILE, shared memory of this layout; test_nth_failure.py is the other end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    KIND_MALLOC,
    KIND_READ,
    KIND_WRITE,
    KIND_CONNECT,
    KIND_ACCEPT,
    KIND_EPOLL_CTL,
    KIND_SOCKET,
    KINDS
};

struct control {
    atomic_uint armed; /* a kind plus one; 0: none */
    atomic_int left;   /* calls of it until the one that fails */
    int error;         /* its errno; 0: an end of file, or a write of half */
    atomic_uint hits;
    atomic_uint counts[KINDS]; /* calls so far */
};

static struct control *control;

/* Whether this call is the one. */
static bool fails(enum kind kind)
{
    if (control == NULL)
        return false;
    atomic_fetch_add(&control->counts[kind], 1);
    if (atomic_load(&control->armed) != kind + 1 || atomic_fetch_sub(&control->left, 1) != 1)
        return false;
    atomic_store(&control->armed, 0);
    atomic_fetch_add(&control->hits, 1);
    errno = control->error;
    return true;
}

/* ---- which process this is ---- */

/* The title is the argument behind "--process", a descriptor and a process id. */
static const char *title_of(const char *arguments, const char *end)
{
    for (unsigned i = 0; arguments < end; i++, arguments += strlen(arguments) + 1) {
        if (i == 1 && strcmp(arguments, "--process") != 0)
            return "";
        if (i == 4)
            return arguments;
    }
    return "";
}

static bool is_the_process(const char *wanted)
{
    char arguments[4096];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? syscall(SYS_read, fd, arguments, sizeof(arguments) - 1) : -1;

    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return false;
    arguments[n] = '\0';
    return strcmp(title_of(arguments, arguments + n), wanted) == 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAIL_FILE"), *wanted = getenv("FAIL_PROCESS");
    void *shared;
    int fd;

    if (path == NULL || wanted == NULL || !is_the_process(wanted))
        return;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    shared = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (shared != MAP_FAILED)
        control = shared;
}

/* ---- sockets ---- */

/*
 * Only streams fail: clients, PostgreSQL, Redis, workers. The line to the supervisor is none, and its
 * loss is a matter of its own.
 */
static bool stream_fails(enum kind kind, int fd)
{
    int type = 0, before = errno;
    socklen_t size = sizeof(type);

    if (control == NULL || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM) {
        errno = before;
        return false;
    }
    errno = before;
    if (!fails(kind))
        return false;
    /* A connection that was reported as lost stays so. */
    if (control->error == EPIPE || control->error == ECONNRESET || control->error == ETIMEDOUT)
        (void)shutdown(fd, SHUT_RDWR);
    errno = control->error;
    return true;
}

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    return fails(KIND_MALLOC) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(KIND_MALLOC) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails(KIND_MALLOC) ? NULL : __libc_realloc(old, size);
}

/* ---- reading: also what the fortified names lead to ---- */

/* What a failing read returns: an error, or the end. */
static ssize_t read_failed(void)
{
    return errno == 0 ? 0 : -1;
}

ssize_t read(int fd, void *to, size_t n)
{
    return stream_fails(KIND_READ, fd) ? read_failed() : syscall(SYS_read, fd, to, n);
}

ssize_t recvfrom(int fd, void *restrict to, size_t n, int flags, struct sockaddr *restrict from,
                 socklen_t *restrict size)
{
    return stream_fails(KIND_READ, fd) ? read_failed() : syscall(SYS_recvfrom, fd, to, n, flags, from, size);
}

ssize_t recv(int fd, void *to, size_t n, int flags)
{
    return recvfrom(fd, to, n, flags, NULL, NULL);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return stream_fails(KIND_READ, fd) ? read_failed() : syscall(SYS_recvmsg, fd, message, flags);
}

ssize_t readv(int fd, const struct iovec *parts, int count)
{
    return stream_fails(KIND_READ, fd) ? read_failed() : syscall(SYS_readv, fd, parts, count);
}

ssize_t __read_chk(int fd, void *to, size_t n, size_t room);
ssize_t __read_chk(int fd, void *to, size_t n, size_t room)
{
    return n <= room ? read(fd, to, n) : -1;
}

ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags);
ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags)
{
    return n <= room ? recv(fd, to, n, flags) : -1;
}

/* ---- writing: what fails without an errno takes half ---- */

static size_t write_failed(size_t n)
{
    return errno == 0 && n > 1 ? n / 2 : 0;
}

ssize_t write(int fd, const void *from, size_t n)
{
    if (stream_fails(KIND_WRITE, fd)) {
        n = write_failed(n);
        if (n == 0)
            return -1;
    }
    return syscall(SYS_write, fd, from, n);
}

ssize_t sendto(int fd, const void *from, size_t n, int flags, const struct sockaddr *to, socklen_t size)
{
    if (stream_fails(KIND_WRITE, fd)) {
        n = write_failed(n);
        if (n == 0)
            return -1;
    }
    return syscall(SYS_sendto, fd, from, n, flags, to, size);
}

ssize_t send(int fd, const void *from, size_t n, int flags)
{
    return sendto(fd, from, n, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct msghdr part = *message;
    struct iovec first;

    if (stream_fails(KIND_WRITE, fd)) {
        if (message->msg_iovlen == 0)
            return -1;
        first = message->msg_iov[0];
        first.iov_len = write_failed(first.iov_len);
        if (first.iov_len == 0)
            return -1;
        part.msg_iov = &first;
        part.msg_iovlen = 1;
    }
    return syscall(SYS_sendmsg, fd, &part, flags);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return stream_fails(KIND_WRITE, fd) && errno != 0 ? -1 : syscall(SYS_writev, fd, parts, count);
}

/* ---- descriptors ---- */

int connect(int fd, const struct sockaddr *to, socklen_t size)
{
    return fails(KIND_CONNECT) ? -1 : (int)syscall(SYS_connect, fd, to, size);
}

int accept4(int fd, struct sockaddr *restrict from, socklen_t *restrict size, int flags)
{
    return fails(KIND_ACCEPT) ? -1 : (int)syscall(SYS_accept4, fd, from, size, flags);
}

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
    return fails(KIND_EPOLL_CTL) ? -1 : (int)syscall(SYS_epoll_ctl, set, operation, fd, event);
}

int socket(int domain, int type, int protocol)
{
    return fails(KIND_SOCKET) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}
