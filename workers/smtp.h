/*
 * What is said in an SMTP conversation (RFC 5321) once the server has let us in:
 * replies, addresses, the message's end. Pure.
 */
#ifndef WORKERS_SMTP_H
#define WORKERS_SMTP_H

#include "base/buf.h"

enum { SMTP_REPLY_MAX = 8192 }; /* bytes of all lines of a reply */

/*
 * A reply at the start of text. Its code, with *size the bytes it takes; 0 when
 * more are needed; -EPROTO for what is no reply or too long.
 */
MUST_USE int smtp_reply(struct str text, size_t *size);

/* Whether an address can stand between < and >: nothing in it can end it early. */
bool smtp_address_is_valid(struct str address);
bool smtp_address_is_ascii(struct str address);

/* The lines of a message (each ends with CRLF) as DATA wants them, with the lone dot behind. */
void smtp_write_data(struct buf *out, struct str message);

#endif
