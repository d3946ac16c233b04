/*
 * What happens to every request, in the order of spec 10 §1.7: credential, the
 * route's fixed or path permission, body, handler. Set as server.dispatch.
 */
#ifndef HANDLERS_DISPATCH_H
#define HANDLERS_DISPATCH_H

#include "req.h"

/*
 * Runs in the request's task and leaves the answer in r. r->route is known. A handler may be run twice: when
 * it turns out before the first side effect that the caller's grants have changed (see auth.h).
 */
void dispatch(struct req *r);

/*
 * Before a long body is read: refuses who may not send it at all. Set as server.admit; dispatch() checks
 * again.
 */
void dispatch_admit(struct req *r);

#endif
