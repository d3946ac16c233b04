#include "http.h"

#include "base/hex.h"

/*
 * One octet at a time, except for the data itself: so that it cannot matter
 * how the network cut the stream. Extensions and trailers are checked and dropped.
 */

enum { EXTENSION_MAX = 1024, EXTENSIONS_MAX = 16384, SIZE_DIGITS_MAX = 16 };

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START,
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_ENDED
};

void http_chunked_init(struct http_chunked *c)
{
    *c = (struct http_chunked){.state = CHUNK_SIZE};
}

static bool is_text(char c)
{
    return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t';
}

static int extension_count(struct http_chunked *c)
{
    return ++c->extension_bytes > EXTENSION_MAX || ++c->extensions_total > EXTENSIONS_MAX ? -400 : 1;
}

static int size_octet(struct http_chunked *c, uint64_t max_total, char octet)
{
    int digit = hex_digit(octet);

    if (digit >= 0) {
        if (++c->digits > SIZE_DIGITS_MAX)
            return -400;
        c->left = c->left << 4 | (unsigned)digit;
        return c->left > max_total - c->total ? -413 : 1;
    }
    if (c->digits == 0)
        return -400;
    if (octet == ';') {
        c->state = CHUNK_EXTENSION;
        return extension_count(c);
    }
    c->state = CHUNK_SIZE_LF;
    return octet == '\r' ? 1 : -400;
}

static int extension_octet(struct http_chunked *c, char octet)
{
    if (octet == '\r') {
        c->state = CHUNK_SIZE_LF;
        return 1;
    }
    return is_text(octet) ? extension_count(c) : -400;
}

static int size_line_end(struct http_chunked *c)
{
    c->total += c->left;
    c->state = c->left != 0 ? CHUNK_DATA : CHUNK_TRAILER_START;
    return 1;
}

static int trailer_count(struct http_chunked *c)
{
    return ++c->trailer_bytes > HTTP_HEADERS_MAX ? -431 : 1;
}

static int trailer_start_octet(struct http_chunked *c, char octet)
{
    if (octet == '\r') {
        c->state = CHUNK_END_LF;
        return 1;
    }
    if (!http_is_token(str_of(&octet, 1)))
        return -400;
    if (++c->trailer_fields > HTTP_FIELDS_MAX)
        return -431;
    c->state = CHUNK_TRAILER_NAME;
    return trailer_count(c);
}

static int trailer_name_octet(struct http_chunked *c, char octet)
{
    if (octet == ':')
        c->state = CHUNK_TRAILER_VALUE;
    else if (!http_is_token(str_of(&octet, 1)))
        return -400;
    return trailer_count(c);
}

static int trailer_value_octet(struct http_chunked *c, char octet)
{
    if (octet == '\r')
        c->state = CHUNK_TRAILER_LF;
    else if (!is_text(octet))
        return -400;
    return trailer_count(c);
}

static int trailer_lf_octet(struct http_chunked *c, char octet)
{
    if (octet != '\n')
        return -400;
    c->state = CHUNK_TRAILER_START;
    return trailer_count(c);
}

static int expect_octet(struct http_chunked *c, char octet, char wanted, enum chunk_state next)
{
    if (octet != wanted)
        return -400;
    c->state = (unsigned char)next;
    return 1;
}

static int data_end(struct http_chunked *c)
{
    c->digits = 0;
    c->extension_bytes = 0;
    c->state = CHUNK_SIZE;
    return 1;
}

static int chunked_octet(struct http_chunked *c, uint64_t max_total, char octet)
{
    switch ((enum chunk_state)c->state) {
    case CHUNK_SIZE:
        return size_octet(c, max_total, octet);
    case CHUNK_EXTENSION:
        return extension_octet(c, octet);
    case CHUNK_SIZE_LF:
        return octet == '\n' ? size_line_end(c) : -400;
    case CHUNK_DATA_CR:
        return expect_octet(c, octet, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF:
        return octet == '\n' ? data_end(c) : -400;
    case CHUNK_TRAILER_START:
        return trailer_start_octet(c, octet);
    case CHUNK_TRAILER_NAME:
        return trailer_name_octet(c, octet);
    case CHUNK_TRAILER_VALUE:
        return trailer_value_octet(c, octet);
    case CHUNK_TRAILER_LF:
        return trailer_lf_octet(c, octet);
    case CHUNK_END_LF:
        return expect_octet(c, octet, '\n', CHUNK_ENDED);
    case CHUNK_DATA:
    case CHUNK_ENDED:
        break;
    }
    abort(); /* not called in these states */
}

static struct str data_take(struct http_chunked *c, struct str *in)
{
    struct str data = str_head(*in, in->n < c->left ? in->n : (size_t)c->left);

    *in = str_from_offset(*in, data.n);
    c->left -= data.n;
    if (c->left == 0)
        c->state = CHUNK_DATA_CR;
    return data;
}

int http_chunked_next(struct http_chunked *c, uint64_t max_total, struct str *in, struct str *data)
{
    *data = STR("");
    if (c->state == CHUNK_ENDED)
        return 0;
    while (in->n != 0) {
        int rc;

        if (c->state == CHUNK_DATA) {
            *data = data_take(c, in);
            return 1;
        }
        rc = chunked_octet(c, max_total, in->p[0]);
        *in = str_from_offset(*in, 1);
        if (rc < 0)
            return rc;
        if (c->state == CHUNK_ENDED)
            return 0;
    }
    return 1;
}
