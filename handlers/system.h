/* What anybody may ask: is it alive, is it ready, what is it (spec 10 §16). */
#ifndef HANDLERS_SYSTEM_H
#define HANDLERS_SYSTEM_H

#include "req.h"

int system_health(struct req *r); /* GET /health */
int system_ready(struct req *r);  /* GET /health/ready */
int system_info(struct req *r);   /* GET /info */

#endif
