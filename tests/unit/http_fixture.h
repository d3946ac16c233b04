/* A server with a few routes in this process, and clients that talk to it over socket pairs or loopback. */
#ifndef TESTS_UNIT_HTTP_FIXTURE_H
#define TESTS_UNIT_HTTP_FIXTURE_H

#include "conn.h"
#include "stream.h"

#include <netinet/in.h>

enum { FIXTURE_BODY_MAX = 1000, SUBSCRIBERS_MAX = 200 };

struct subscriber {
    struct stream_sink sink;
    unsigned closes;
};

struct fixture {
    struct server server;
    struct conn_options options;
    unsigned dispatched, admitted, cancelled, finished;
    struct completion gate; /* what /park waits for */
    bool refuses;           /* admit answers 401 */
    bool lowers;            /* admit allows three bytes */
    struct subscriber subscribers[SUBSCRIBERS_MAX];
    unsigned subscribers_count;
    char body[2000]; /* of the last POST */
    size_t body_size;
};

struct client {
    int fd;
    struct buf got;
    bool is_eof;
    bool is_reset;
};

/* An answer as it was received; answer_header() finds a value. */
struct answer {
    int status;
    struct str head, body; /* body decoded */
    bool is_complete;
};

extern struct fixture fixture;

/* Fills fixture; options may be changed by the callback before the pool is made. */
void fixture_start(void (*configure)(struct conn_options *o));
void fixture_stop(void);
/* From now on requests are admitted before long bodies are read. */
void fixture_admit(void);
struct sockaddr_in fixture_listen(void); /* the address of a listening socket on loopback */
/* Lets the loop do all that is to do now. */
void fixture_turns(void);

void client_open(struct client *c);     /* a Unix socket pair */
void client_open_tcp(struct client *c); /* over loopback */
void client_connect(struct client *c, const struct sockaddr_in *in);
void client_close(struct client *c);
void client_reset(struct client *c); /* closes with RST */
void client_send(struct client *c, struct str bytes);
#define client_say(c, literal) client_send((c), STR(literal))
/* Receives what comes until it holds so many bytes, the other end closes, or nothing comes any more. */
void client_receive(struct client *c, size_t bytes_max);
/* The next answer, taken off what was received. Not complete when it does not come. */
struct answer client_answer(struct arena *a, struct client *c);
struct answer client_answer_to_head(struct arena *a, struct client *c);
/* Whether the connection ends, with nothing more to read. */
bool client_is_closed(struct client *c);

struct str answer_header(const struct answer *an, const char *name);

/* A request and its answer on a connection of its own. */
struct answer exchange(struct arena *a, const char *request);

#endif
