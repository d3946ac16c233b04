/*
 * A model vendor that is never the bottleneck: OpenAI's streaming wire format,
 * one thread, epoll, keep-alive.
 *
 *   vendor PORT     0: any; prints "port N" and serves until it is killed
 *
 * The model's name in the request says what is answered: "bench-FRAMES-MS-WAIT"
 * is so many frames of text, each in a write of its own, MS milliseconds apart
 * (0: as fast as the socket takes them, in turn with the other answers), after
 * WAIT milliseconds. Without such a name the answer has 64 frames at once. GET
 * requests get an empty 200.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, EVENTS_MAX = 512, FRAMES_USUAL = 64 };

struct conn {
    int fd;
    struct conn *next_active, *previous_active; /* those that are being answered */
    bool is_active, is_blocked, is_begun;
    unsigned frames_left; /* of text; the end follows them */
    unsigned interval_ms;
    uint64_t due_ms;
    const char *out; /* what the socket has not taken */
    size_t out_bytes;
    char in[HEAD_MAX];
    size_t in_bytes;
    size_t skip; /* of a body that is longer than in[] */
};

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                           "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char empty[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#define CHUNK(delta, reason)                                                                                  \
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,"           \
    "\"model\":\"bench\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{\"index\":0,\"delta\":" delta \
    ",\"logprobs\":null,\"finish_reason\":" reason "}]}\n\n"

static const char text_event[] = CHUNK("{\"content\":\" benchmark\"}", "null");
static const char end_events[] = CHUNK("{}", "\"stop\"")
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":"
    "\"bench\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":64,\"total_tokens\":84}}\n\n"
    "data: [DONE]\n\n";

static struct {
    int epoll;
    struct conn *active;
    char first[1024], frame[512], end[1536]; /* with their framing; the first one has the head before it */
    size_t first_bytes, frame_bytes, end_bytes;
} vendor;

static void die(const char *what)
{
    fprintf(stderr, "vendor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pieces_make(void)
{
    vendor.frame_bytes = (size_t)snprintf(vendor.frame, sizeof(vendor.frame), "%zx\r\n%s\r\n", strlen(text_event), text_event);
    vendor.first_bytes = (size_t)snprintf(vendor.first, sizeof(vendor.first), "%s%s", head, vendor.frame);
    vendor.end_bytes = (size_t)snprintf(vendor.end, sizeof(vendor.end), "%zx\r\n%s\r\n0\r\n\r\n", strlen(end_events), end_events);
}

static void conn_watch(struct conn *c, uint32_t events, int operation)
{
    struct epoll_event e = {.events = events, .data.ptr = c};

    if (epoll_ctl(vendor.epoll, operation, c->fd, &e) < 0)
        die("epoll_ctl");
}

static void active_remove(struct conn *c)
{
    if (!c->is_active)
        return;
    c->is_active = false;
    if (c->previous_active != NULL)
        c->previous_active->next_active = c->next_active;
    else
        vendor.active = c->next_active;
    if (c->next_active != NULL)
        c->next_active->previous_active = c->previous_active;
}

static void active_add(struct conn *c)
{
    c->is_active = true;
    c->previous_active = NULL;
    c->next_active = vendor.active;
    if (vendor.active != NULL)
        vendor.active->previous_active = c;
    vendor.active = c;
}

static void conn_close(struct conn *c)
{
    active_remove(c);
    close(c->fd);
    free(c);
}

/* ---- answers ---- */

/* False when the connection is gone. */
static bool conn_write(struct conn *c)
{
    ssize_t n = send(c->fd, c->out, c->out_bytes, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN) {
        conn_close(c);
        return false;
    }
    n = n < 0 ? 0 : n;
    c->out += n;
    c->out_bytes -= (size_t)n;
    if ((c->out_bytes != 0) != c->is_blocked) {
        c->is_blocked = c->out_bytes != 0;
        conn_watch(c, c->is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    }
    return true;
}

static bool conn_say(struct conn *c, const char *bytes, size_t n)
{
    c->out = bytes;
    c->out_bytes = n;
    return conn_write(c);
}

static void conn_process(struct conn *c);

/* One frame, or the end. */
static void conn_advance(struct conn *c, uint64_t now)
{
    if (c->is_blocked || c->due_ms > now)
        return;
    if (c->interval_ms != 0)
        c->due_ms = (c->due_ms != 0 ? c->due_ms : now) + c->interval_ms;
    if (c->frames_left > 0) {
        c->frames_left--;
        if (c->is_begun) {
            (void)conn_say(c, vendor.frame, vendor.frame_bytes);
        } else {
            c->is_begun = true;
            (void)conn_say(c, vendor.first, vendor.first_bytes);
        }
        return;
    }
    active_remove(c);
    if (conn_say(c, vendor.end, vendor.end_bytes))
        conn_process(c);
}

/* What the model's name says. */
static void answer_plan(struct conn *c, const char *body)
{
    const char *model = strstr(body, "\"bench-");
    unsigned plan[3] = {FRAMES_USUAL, 0, 0}; /* frames, interval, delay */

    for (size_t i = 0; model != NULL && *model != '\0' && i < 3; i++) {
        char *end;

        plan[i] = (unsigned)strtoul(model + (i == 0 ? 7 : 1), &end, 10);
        model = *end == '-' ? end : NULL;
    }
    c->frames_left = plan[0];
    c->interval_ms = plan[1];
    c->due_ms = plan[2] != 0 ? now_ms() + plan[2] : 0;
    c->is_begun = false;
}

/* ---- requests ---- */

/* Takes a whole request from what was read. The bodies of benches are short; what is beyond in[] is dropped. */
static void conn_process(struct conn *c)
{
    char *end, *length;
    size_t body_at, body_bytes, used;
    bool is_get;

    if (c->is_active || c->in_bytes == 0)
        return;
    c->in[c->in_bytes] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (end == NULL)
        return;
    length = strcasestr(c->in, "\r\ncontent-length:");
    body_at = (size_t)(end + 4 - c->in);
    body_bytes = length != NULL && length < end ? strtoull(length + 17, NULL, 10) : 0;
    if (c->in_bytes < body_at + body_bytes && c->in_bytes < HEAD_MAX - 1)
        return;
    is_get = strncmp(c->in, "GET ", 4) == 0;
    used = c->in_bytes < body_at + body_bytes ? c->in_bytes : body_at + body_bytes;
    c->skip = body_at + body_bytes - used;
    answer_plan(c, c->in + body_at);
    memmove(c->in, c->in + used, c->in_bytes - used);
    c->in_bytes -= used;
    if (is_get)
        (void)conn_say(c, empty, strlen(empty));
    else
        active_add(c); /* its first frame goes out at the end of this turn */
}

static void conn_read(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_bytes, HEAD_MAX - 1 - c->in_bytes, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        conn_close(c);
        return;
    }
    if (n < 0)
        return;
    if (c->skip != 0) {
        size_t skipped = (size_t)n < c->skip ? (size_t)n : c->skip;

        memmove(c->in, c->in + skipped, (size_t)n - skipped);
        c->skip -= skipped;
        n -= (ssize_t)skipped;
    }
    c->in_bytes += (size_t)n;
    conn_process(c);
}

static void accept_all(int listener)
{
    int fd, one = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof(*c));

        if (c == NULL)
            die("memory");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        conn_watch(c, EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* ---- the loop ---- */

/* Milliseconds until something is due; -1: nothing is under way. */
static int wait_ms(uint64_t now)
{
    int64_t least = -1;

    for (struct conn *c = vendor.active; c != NULL; c = c->next_active) {
        int64_t left = c->due_ms > now ? (int64_t)(c->due_ms - now) : 0;

        if (!c->is_blocked && (least < 0 || left < least))
            least = left;
        if (least == 0)
            break;
    }
    return (int)least;
}

static void advance_all(void)
{
    uint64_t now = now_ms();

    for (struct conn *c = vendor.active, *next; c != NULL; c = next) {
        next = c->next_active;
        conn_advance(c, now);
    }
}

static void on_event(struct conn *c, uint32_t events)
{
    if ((events & EPOLLOUT) && !conn_write(c))
        return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        conn_read(c);
}

static void serve(int listener)
{
    struct epoll_event events[EVENTS_MAX], e = {.events = EPOLLIN};

    if (epoll_ctl(vendor.epoll, EPOLL_CTL_ADD, listener, &e) < 0)
        die("epoll_ctl");
    for (;;) {
        int n = epoll_wait(vendor.epoll, events, EVENTS_MAX, wait_ms(now_ms()));

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                accept_all(listener);
            else
                on_event(events[i].data.ptr, events[i].events);
        }
        advance_all();
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_port = htons((uint16_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 0));
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        die("listen");
    vendor.epoll = epoll_create1(EPOLL_CLOEXEC);
    pieces_make();
    printf("port %u\n", ntohs(address.sin_port));
    fflush(stdout);
    serve(listener);
}
