/* Cuts a stream into lines (NDJSON). Incremental and pure. Empty lines are skipped, the last needs no end. */
#ifndef WORKERS_NDJSON_H
#define WORKERS_NDJSON_H

#include "base/buf.h"

enum { NDJSON_LINE_MAX = 16 << 20 };

struct ndjson {
    struct buf partial; /* the head of a line that is not complete */
};

/* One line without its end; negative ends the reading. */
typedef int (*ndjson_fn)(void *arg, struct str line);

void ndjson_init(struct ndjson *n);
void ndjson_fini(struct ndjson *n);

/* 0, -EMSGSIZE when a line is longer than NDJSON_LINE_MAX, or what on_line returned. */
MUST_USE int ndjson_feed(struct ndjson *n, struct str bytes, ndjson_fn on_line, void *arg);
MUST_USE int ndjson_finish(struct ndjson *n, ndjson_fn on_line, void *arg);

#endif
