/* Sign-in by one-time code, sessions, and questions about oneself (spec 10 §2, §5). */
#ifndef HANDLERS_LOGIN_H
#define HANDLERS_LOGIN_H

#include "handlers/fields.h"

extern const struct body login_body, login_verify_body, login_token_body, login_check_body;

int login_begin(struct req *r);    /* POST /auth/login */
int login_verify(struct req *r);   /* POST /auth/verify-otp */
int login_refresh(struct req *r);  /* POST /auth/refresh */
int login_logout(struct req *r);   /* POST /auth/logout */
int login_me(struct req *r);       /* GET /auth/me */
int login_check(struct req *r);    /* POST /auth/check-permissions */
int login_external(struct req *r); /* POST /auth/external-auth */

/* What is behind the '@'. */
struct str login_domain(struct str email);

/* Deletes expired and used codes. */
void login_purge(struct req *r);

#endif
