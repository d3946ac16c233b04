/* Administration of the queue (spec 10 §10), as far as agent turns go. */
#ifndef HANDLERS_QUEUE_H
#define HANDLERS_QUEUE_H

#include "req.h"

int queue_job_cancel(struct req *r); /* POST /api/v1/queue/jobs/{job_id}/cancel */

#endif
