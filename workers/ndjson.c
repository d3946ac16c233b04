#include "workers/ndjson.h"

void ndjson_init(struct ndjson *n)
{
    buf_init(&n->partial);
}

void ndjson_fini(struct ndjson *n)
{
    buf_fini(&n->partial);
}

static int ndjson_line(struct str line, ndjson_fn on_line, void *arg)
{
    line = str_trim(line);
    return line.n != 0 ? on_line(arg, line) : 0;
}

int ndjson_feed(struct ndjson *n, struct str bytes, ndjson_fn on_line, void *arg)
{
    ssize_t end;
    int rc;

    while ((end = str_find_byte(bytes, '\n')) >= 0) {
        struct str line = str_head(bytes, (size_t)end);

        if (buf_size(&n->partial) + line.n > NDJSON_LINE_MAX)
            return -EMSGSIZE;
        if (buf_size(&n->partial) > 0) {
            buf_add(&n->partial, line);
            line = buf_str(&n->partial);
        }
        rc = ndjson_line(line, on_line, arg);
        buf_consume(&n->partial, buf_size(&n->partial));
        if (rc < 0)
            return rc;
        bytes = str_from_offset(bytes, (size_t)end + 1);
    }
    if (buf_size(&n->partial) + bytes.n > NDJSON_LINE_MAX)
        return -EMSGSIZE;
    buf_add(&n->partial, bytes);
    return 0;
}

int ndjson_finish(struct ndjson *n, ndjson_fn on_line, void *arg)
{
    int rc = ndjson_line(buf_str(&n->partial), on_line, arg);

    buf_consume(&n->partial, buf_size(&n->partial));
    return rc;
}
