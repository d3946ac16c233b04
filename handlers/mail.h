/*
 * Mail (spec 10 §2.10), sent by the outbound workers. Which server, and who is
 * named as the sender, are settings.
 */
#ifndef HANDLERS_MAIL_H
#define HANDLERS_MAIL_H

#include "req.h"

struct mail {
    struct str to, subject;
    struct str text, html; /* STR_NONE for html: text alone */
};

/* Whether there is a mail server (SMTP_HOST and SMTP_DOMAIN). */
bool mail_is_configured(void);

/* Whether this is a server for development, where a code may go to the log instead. */
bool mail_is_development(void);

/*
 * 0 when the server took the mail. -EINVAL: a header would hold a line end; -ENOTCONN: no worker; -EIO:
 * refused or not reached, and logged; -ECANCELED. No answer is set.
 */
MUST_USE int mail_send_await(struct req *r, const struct mail *m);

/* Connections to the outbound workers that the supervisor named. */
struct mail_pool;
struct mail_pool *mail_pool_open(struct loop *l);
void mail_pool_close(struct mail_pool *pool);

#endif
