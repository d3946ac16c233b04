#include "handlers/queue.h"

#include "base/uuid.h"
#include "handlers/app.h"
#include "handlers/turn.h"
#include "sql.h"

/* Why a job cannot be cancelled: it has ended, or there is none. */
static int queue_job_refuse(struct req *r, struct str job_id)
{
    struct str argv[] = {STR("GET"), turn_job_key(&r->arena, job_id)};
    const struct json *record;
    struct redis_value answer;
    struct json_error error;

    TRY(redis_await(r->server->redis, &r->arena, &answer, nelem(argv), argv) == -ECANCELED ? -ECANCELED : 0);
    if (answer.type != REDIS_STRING || json_parse(&r->arena, answer.text, &record, &error) < 0)
        return fail(r, 404, "Job " STR_FMT " not found", STR_ARG(job_id));
    return fail(r, 409, "Job is already " STR_FMT, STR_ARG(json_get_text(record, STR("status"))));
}

int queue_job_cancel(struct req *r)
{
    struct str job_id = param(r, "job_id");
    struct json_writer w;
    const char *reason;
    struct uuid uuid;
    struct rows rows;

    if (uuid_parse(job_id, &uuid, &reason) < 0)
        return fail(r, 404, "Job " STR_FMT " not found", STR_ARG(job_id));
    TRY(sql_turn_cancel_await(r, &rows, job_id));
    if (rows.count == 0)
        return queue_job_refuse(r, job_id);
    turn_stop_chat(r->server->app->turns, row_str(&rows, 0, "chat_id"));
    reply_begin(r, &w);
    json_object_begin(&w);
    json_field_str(&w, STR("status"), STR("cancelled"));
    json_field_str(&w, STR("job_id"), job_id);
    json_object_end(&w);
    return reply_written(r, 200);
}
