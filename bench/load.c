/*
 * Load generator for HTTP and server-sent events: one thread, epoll, keep-alive
 * connections.
 *
 *   load [options] http://HOST:PORT/PATH
 *     -c N       connections (1)
 *     -n N       requests in all (0: until the time is up)
 *     -d S       seconds (10)
 *     -r RATE    open loop: requests start at RATE per second whether or not
 *                earlier ones have ended; their latency counts from the planned start.
 *                Without it: closed loop, each connection asks again at once
 *     -m METHOD  (GET, or POST with a body)
 *     -b BODY    JSON body
 *     -H LINE    header, may be repeated
 *     -p FILE    paths, one per line, in turn: with C connections, connection i uses the lines i, i + C, i + 2 C …
 *     -e TEXT    the response is a stream of events; its last one holds this ("event: done")
 *     -i         idle: every connection asks once and holds its stream until the time is up
 *
 * Prints one JSON object. Latencies are in microseconds: of the whole answer
 * and, for streams, of the first event. A response that is not 2xx, or a stream
 * that ends without its terminal event, counts as an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADERS_MAX = 16,
    EVENTS_MAX = 256,
    BUCKETS_PER_OCTAVE = 64,
    OCTAVES = 32,
    READ_BYTES = 65536,
    WAIT_US = 100000,
    TAIL_BYTES = 64 /* of a stream, carried over to find events that a read cuts */
};

struct histogram {
    uint64_t buckets[OCTAVES * BUCKETS_PER_OCTAVE];
    uint64_t count, sum, max;
};

enum conn_state { CONN_IDLE, CONN_CONNECTING, CONN_SENDING, CONN_HEAD, CONN_BODY };

struct conn {
    int fd;
    enum conn_state state;
    const char *request;
    size_t request_bytes, sent, next_request;
    char head[8192];
    size_t head_bytes;
    int status;
    bool is_chunked, closes, ends_with_connection, saw_event, saw_end;
    uint64_t body_left;  /* of Content-Length, or of the current chunk */
    int chunk_state;     /* 0 size line, 1 data, 2 CRLF behind data, 3 trailer */
    uint64_t chunk_size;
    char tail[TAIL_BYTES];
    size_t tail_bytes;
    uint64_t planned_us; /* start of the current request */
};

static struct {
    const char *host, *port, *method, *body, *end_event;
    const char *headers[HEADERS_MAX];
    unsigned headers_count;
    char **requests;
    size_t *requests_bytes;
    size_t requests_count;
    unsigned connections;
    uint64_t requests_max;
    double seconds, rate;
    bool is_idle;
    struct addrinfo *address;
    int epoll;
    struct conn *conns;
    struct conn **free_conns; /* open loop: connections without a request */
    size_t free_count;
    uint64_t started, done, errors, events, bytes, reconnects;
    uint64_t begin_us, end_us;
    struct histogram whole, first;
    uint64_t first_event_us, last_event_us; /* of all streams */
} load = {.connections = 1, .seconds = 10};

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- latencies ---- */

static unsigned bucket_of(uint64_t us)
{
    unsigned octave = 0;
    uint64_t v = us;

    while (v >= 2 * BUCKETS_PER_OCTAVE) {
        v >>= 1;
        octave++;
    }
    if (v >= BUCKETS_PER_OCTAVE) {
        octave++;
        v -= BUCKETS_PER_OCTAVE;
    }
    if (octave >= OCTAVES)
        return OCTAVES * BUCKETS_PER_OCTAVE - 1;
    return octave * BUCKETS_PER_OCTAVE + (unsigned)v;
}

static uint64_t bucket_top(unsigned bucket)
{
    unsigned octave = bucket / BUCKETS_PER_OCTAVE, at = bucket % BUCKETS_PER_OCTAVE;

    return octave == 0 ? at : ((uint64_t)(at + BUCKETS_PER_OCTAVE + 1) << (octave - 1)) - 1;
}

static void histogram_add(struct histogram *h, uint64_t us)
{
    h->buckets[bucket_of(us)]++;
    h->count++;
    h->sum += us;
    if (us > h->max)
        h->max = us;
}

static uint64_t histogram_at(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)((double)h->count * share), seen = 0;

    for (unsigned i = 0; i < OCTAVES * BUCKETS_PER_OCTAVE; i++) {
        seen += h->buckets[i];
        if (seen > wanted)
            return bucket_top(i) < h->max ? bucket_top(i) : h->max;
    }
    return h->max;
}

static void histogram_print(const char *name, const struct histogram *h)
{
    printf(",\"%s\":{\"mean\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p90\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"max\":%" PRIu64 "}",
           name, h->count != 0 ? h->sum / h->count : 0, histogram_at(h, 0.5), histogram_at(h, 0.9),
           histogram_at(h, 0.99), h->max);
}

/* ---- connections ---- */

static void conn_watch(struct conn *c, uint32_t events, int operation)
{
    struct epoll_event e = {.events = events, .data.ptr = c};

    if (epoll_ctl(load.epoll, operation, c->fd, &e) < 0)
        die("epoll_ctl");
}

static void conn_open(struct conn *c)
{
    int one = 1;

    c->fd = socket(load.address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(c->fd, load.address->ai_addr, load.address->ai_addrlen) < 0 && errno != EINPROGRESS)
        die("connect");
    c->state = CONN_CONNECTING;
    conn_watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void conn_close(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = CONN_IDLE;
}

static void conn_send(struct conn *c)
{
    while (c->sent < c->request_bytes) {
        ssize_t n = write(c->fd, c->request + c->sent, c->request_bytes - c->sent);

        if (n < 0) {
            if (errno == EAGAIN)
                return;
            n = 0;
            break;
        }
        c->sent += (size_t)n;
    }
    c->state = CONN_HEAD;
    conn_watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void conn_begin(struct conn *c, uint64_t planned_us)
{
    c->planned_us = planned_us;
    c->sent = c->head_bytes = c->tail_bytes = 0;
    c->saw_event = c->saw_end = false;
    c->chunk_state = 0;
    c->chunk_size = 0;
    c->request = load.requests[c->next_request];
    c->request_bytes = load.requests_bytes[c->next_request];
    c->next_request = (c->next_request + load.connections) % load.requests_count;
    load.started++;
    if (c->fd < 0) {
        conn_open(c);
        return;
    }
    c->state = CONN_SENDING;
    conn_watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    conn_send(c);
}

static bool may_start(void)
{
    return now_us() < load.end_us && (load.requests_max == 0 || load.started < load.requests_max);
}

static void conn_end(struct conn *c, bool is_error)
{
    uint64_t now = now_us();

    if (load.end_event != NULL && !c->saw_end)
        is_error = true;
    load.done++;
    if (is_error || c->status < 200 || c->status > 299)
        load.errors++;
    else
        histogram_add(&load.whole, now - c->planned_us);
    if (is_error || c->closes) {
        conn_close(c);
        load.reconnects++;
    } else {
        c->state = CONN_IDLE;
    }
    if (load.rate > 0)
        load.free_conns[load.free_count++] = c;
    else if (may_start())
        conn_begin(c, now);
}

/* ---- responses ---- */

static bool head_has(const char *head, const char *line)
{
    return strcasestr(head, line) != NULL;
}

static void conn_parse_head(struct conn *c)
{
    const char *length = strcasestr(c->head, "\r\ncontent-length:");

    c->status = atoi(c->head + 9);
    c->is_chunked = head_has(c->head, "\r\ntransfer-encoding: chunked");
    c->closes = head_has(c->head, "\r\nconnection: close");
    c->ends_with_connection = length == NULL && !c->is_chunked && c->status != 204;
    c->body_left = length != NULL ? strtoull(length + 17, NULL, 10) : 0;
    c->state = CONN_BODY;
}

static unsigned count_of(const char *text, size_t n, const char *what, size_t what_n)
{
    unsigned count = 0;
    const char *at = text;

    while ((at = memmem(at, n - (size_t)(at - text), what, what_n)) != NULL) {
        count++;
        at += what_n;
    }
    return count;
}

/* Body bytes of a stream: events are counted by their "data:" lines, cut ones too. */
static void conn_events(struct conn *c, const char *data, size_t n)
{
    static char joined[READ_BYTES + TAIL_BYTES];
    unsigned before, all;

    memcpy(joined, c->tail, c->tail_bytes);
    memcpy(joined + c->tail_bytes, data, n);
    before = count_of(joined, c->tail_bytes, "data: ", 6);
    all = count_of(joined, c->tail_bytes + n, "data: ", 6);
    load.events += all - before;
    if (all > before) {
        load.last_event_us = now_us();
        if (load.first_event_us == 0)
            load.first_event_us = load.last_event_us;
    }
    if (all > 0 && !c->saw_event) {
        c->saw_event = true;
        histogram_add(&load.first, now_us() - c->planned_us);
    }
    if (load.end_event != NULL && memmem(joined, c->tail_bytes + n, load.end_event, strlen(load.end_event)) != NULL)
        c->saw_end = true;
    n += c->tail_bytes;
    c->tail_bytes = n < TAIL_BYTES ? n : TAIL_BYTES;
    memmove(c->tail, joined + n - c->tail_bytes, c->tail_bytes);
}

static void conn_data(struct conn *c, const char *data, size_t n)
{
    load.bytes += n;
    if (load.end_event != NULL || load.is_idle)
        conn_events(c, data, n);
}

/* True at the end of the body. */
static bool conn_chunks(struct conn *c, const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t run;

        switch (c->chunk_state) {
        case 0:
            if (p[i] == '\n') {
                c->chunk_state = c->chunk_size == 0 ? 3 : 1;
                c->body_left = c->chunk_size;
            } else if (p[i] != '\r') {
                c->chunk_size = c->chunk_size * 16 + (uint64_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
            }
            i++;
            break;
        case 1:
            run = n - i < c->body_left ? n - i : (size_t)c->body_left;
            conn_data(c, p + i, run);
            i += run;
            c->body_left -= run;
            if (c->body_left == 0)
                c->chunk_state = 2;
            break;
        case 2:
            if (p[i++] == '\n') {
                c->chunk_state = 0;
                c->chunk_size = 0;
            }
            break;
        default:
            if (p[i++] == '\n')
                return true; /* no server under test sends trailers */
        }
    }
    return false;
}

static void conn_body(struct conn *c, const char *p, size_t n)
{
    if (c->is_chunked) {
        if (conn_chunks(c, p, n))
            conn_end(c, false);
        return;
    }
    if (c->ends_with_connection) {
        conn_data(c, p, n);
        return;
    }
    n = n < c->body_left ? n : (size_t)c->body_left;
    conn_data(c, p, n);
    c->body_left -= n;
    if (c->body_left == 0)
        conn_end(c, false);
}

static void conn_bytes(struct conn *c, const char *p, size_t n)
{
    size_t before = c->head_bytes;
    size_t more = n < sizeof(c->head) - 1 - before ? n : sizeof(c->head) - 1 - before;
    size_t consumed;
    char *end;

    if (c->state == CONN_BODY) {
        conn_body(c, p, n);
        return;
    }
    memcpy(c->head + before, p, more);
    c->head_bytes += more;
    c->head[c->head_bytes] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (end == NULL) {
        if (c->head_bytes == sizeof(c->head) - 1)
            conn_end(c, true);
        return;
    }
    end[2] = '\0';
    consumed = (size_t)(end + 4 - c->head) - before; /* of p; what follows is body */
    conn_parse_head(c);
    conn_body(c, p + consumed, n - consumed);
}

static void conn_read(struct conn *c)
{
    static char bytes[READ_BYTES];
    ssize_t n = read(c->fd, bytes, sizeof(bytes));

    if (n > 0) {
        if (c->state == CONN_HEAD || c->state == CONN_BODY)
            conn_bytes(c, bytes, (size_t)n);
    } else if (n == 0 || errno != EAGAIN) {
        if (c->state == CONN_IDLE)
            conn_close(c); /* the server closed a connection between requests */
        else
            conn_end(c, c->state != CONN_BODY || !c->ends_with_connection);
    }
}

static void on_event(struct conn *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (c->state == CONN_CONNECTING && (events & (EPOLLOUT | EPOLLERR))) {
        if (events & EPOLLERR) {
            conn_end(c, true);
            return;
        }
        c->state = CONN_SENDING;
    }
    if (c->state == CONN_SENDING && (events & EPOLLOUT))
        conn_send(c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        conn_read(c);
}

/* ---- the run ---- */

/*
 * Open loop: starts what is due on connections that are free. What finds none starts late, and its latency says
 * so. Returns the µs until the next one is due.
 */
static uint64_t start_due(void)
{
    while (load.free_count > 0 && may_start()) {
        uint64_t planned = load.begin_us + (uint64_t)((double)load.started * 1e6 / load.rate);
        uint64_t now = now_us();

        if (planned > now)
            return planned - now;
        conn_begin(load.free_conns[--load.free_count], planned);
    }
    return WAIT_US;
}

static bool is_over(void)
{
    if (load.requests_max != 0 && load.done >= load.requests_max)
        return true;
    if (load.is_idle)
        return now_us() >= load.end_us;
    return now_us() >= load.end_us && (load.done >= load.started || now_us() >= load.end_us + 5000000);
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];

    (void)prctl(PR_SET_TIMERSLACK, 1000); /* ns: what is planned starts on time */
    load.begin_us = now_us();
    load.end_us = load.begin_us + (uint64_t)(load.seconds * 1e6);
    for (unsigned i = 0; i < load.connections; i++) {
        if (load.rate > 0)
            load.free_conns[load.free_count++] = &load.conns[i];
        else if (may_start())
            conn_begin(&load.conns[i], load.begin_us);
    }
    while (!is_over()) {
        uint64_t wait_us = load.rate > 0 ? start_due() : WAIT_US;
        struct timespec wait = {.tv_sec = (time_t)(wait_us / 1000000), .tv_nsec = (long)(wait_us % 1000000) * 1000};
        int n = epoll_pwait2(load.epoll, events, EVENTS_MAX, &wait, NULL);

        for (int i = 0; i < n; i++)
            on_event(events[i].data.ptr, events[i].events);
    }
}

static void report(void)
{
    double seconds = (double)(now_us() - load.begin_us) / 1e6;
    uint64_t ok = load.done - load.errors;
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    printf("{\"seconds\":%.3f,\"started\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"errors\":%" PRIu64
           ",\"unfinished\":%" PRIu64 ",\"per_second\":%.1f,\"events\":%" PRIu64 ",\"events_per_second\":%.1f,\"bytes\":%" PRIu64
           ",\"reconnects\":%" PRIu64 ",\"cpu_us_per_request\":%.1f",
           seconds, load.started, ok, load.errors, load.started - load.done, (double)ok / seconds, load.events,
           (double)load.events / seconds, load.bytes, load.reconnects,
           ((double)usage.ru_utime.tv_sec * 1e6 + (double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_sec * 1e6 +
            (double)usage.ru_stime.tv_usec) / (double)(load.done != 0 ? load.done : 1));
    histogram_print("latency_us", &load.whole);
    if (load.end_event != NULL || load.is_idle) {
        histogram_print("first_event_us", &load.first);
        printf(",\"events_seconds\":%.6f", (double)(load.last_event_us - load.first_event_us) / 1e6);
    }
    puts("}");
}

/* ---- arguments ---- */

static char *request_new(const char *path, size_t *bytes)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);

    if (out == NULL)
        die("open_memstream");
    fprintf(out, "%s %s HTTP/1.1\r\nHost: %s:%s\r\n", load.method, path, load.host, load.port);
    for (unsigned i = 0; i < load.headers_count; i++)
        fprintf(out, "%s\r\n", load.headers[i]);
    if (load.body != NULL)
        fprintf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(load.body));
    fprintf(out, "\r\n%s", load.body != NULL ? load.body : "");
    fclose(out);
    return text;
}

static void requests_add(const char *path)
{
    load.requests = realloc(load.requests, (load.requests_count + 1) * sizeof(*load.requests));
    load.requests_bytes = realloc(load.requests_bytes, (load.requests_count + 1) * sizeof(*load.requests_bytes));
    if (load.requests == NULL || load.requests_bytes == NULL)
        die("memory");
    load.requests[load.requests_count] = request_new(path, &load.requests_bytes[load.requests_count]);
    load.requests_count++;
}

static void read_paths(const char *file)
{
    FILE *in = fopen(file, "r");
    char line[1024];

    if (in == NULL)
        die(file);
    while (fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0')
            requests_add(line);
    }
    fclose(in);
}

static void parse_url(char *url)
{
    char *host = url, *path, *port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

    if (strncmp(url, "http://", 7) == 0)
        host += 7;
    path = strchr(host, '/');
    load.host = strndup(host, path != NULL ? (size_t)(path - host) : strlen(host));
    port = strrchr(load.host, ':');
    if (port != NULL)
        *port++ = '\0';
    load.port = port != NULL ? port : "80";
    if (getaddrinfo(load.host, load.port, &hints, &load.address) != 0)
        die(load.host);
    if (load.requests_count == 0)
        requests_add(path != NULL ? path : "/");
}

static void usage(void)
{
    fputs("load [-c N] [-n N] [-d S] [-r RATE] [-m METHOD] [-b BODY] [-H LINE]... [-p FILE] [-e TEXT] [-i] URL\n", stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    const char *paths = NULL;
    char *url;
    int option;

    while ((option = getopt(argc, argv, "c:n:d:r:m:b:H:p:e:i")) != -1) {
        switch (option) {
        case 'c': load.connections = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'n': load.requests_max = strtoull(optarg, NULL, 10); break;
        case 'd': load.seconds = strtod(optarg, NULL); break;
        case 'r': load.rate = strtod(optarg, NULL); break;
        case 'm': load.method = optarg; break;
        case 'b': load.body = optarg; break;
        case 'H':
            if (load.headers_count == HEADERS_MAX)
                usage();
            load.headers[load.headers_count++] = optarg;
            break;
        case 'p': paths = optarg; break;
        case 'e': load.end_event = optarg; break;
        case 'i': load.is_idle = true; break;
        default: usage();
        }
    }
    if (optind != argc - 1 || load.connections == 0)
        usage();
    if (load.method == NULL)
        load.method = load.body != NULL ? "POST" : "GET";
    url = argv[optind];
    if (paths != NULL) {
        char *copy = strdup(url);

        load.requests_count = 1; /* so that only the address is taken from the URL */
        parse_url(copy);
        load.requests_count = 0;
        read_paths(paths);
    } else {
        parse_url(url);
    }
    if (load.requests_count == 0)
        usage();
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.conns = calloc(load.connections, sizeof(*load.conns));
    load.free_conns = calloc(load.connections, sizeof(struct conn *));
    if (load.epoll < 0 || load.conns == NULL || load.free_conns == NULL)
        die("start");
    for (unsigned i = 0; i < load.connections; i++) {
        load.conns[i].fd = -1;
        load.conns[i].next_request = i % load.requests_count;
    }
    run();
    report();
    return load.errors != 0;
}
