/*
 * A mail as it goes over the wire (RFC 5322, 2045-2047): headers, then plain text
 * and HTML as alternatives, both quoted-printable. Pure.
 */
#ifndef WORKERS_MIME_H
#define WORKERS_MIME_H

#include "base/buf.h"

enum { MIME_HEADER_MAX = 900 }; /* bytes of an address; a subject may be longer, it is folded */

struct mime_mail {
    struct str from, to;   /* bare addresses */
    struct str subject;    /* UTF-8 */
    struct str text, html; /* UTF-8; lines end with LF or CRLF. STR_NONE for html: text alone */
    struct str id;         /* of Message-ID, without < > */
    int64_t date_s;        /* since 1970 */
};

/* Appends the message. 0, or -EINVAL: a header's value holds a control character or is too long. */
MUST_USE int mime_write(struct buf *out, const struct mime_mail *m);

/* The pieces, for tests. */
void mime_write_quoted_printable(struct buf *out, struct str text);
void mime_write_subject(struct buf *out, struct str subject);

#endif
