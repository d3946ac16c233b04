#include "handlers/system.h"

#include "handlers/mail.h"
#include "server.h"

int system_health(struct req *r)
{
    return reply_json(r, 200, STR("{\"status\":\"healthy\"}"));
}

int system_ready(struct req *r)
{
    if (pg_is_up(r->server->db) && redis_is_up(r->server->redis))
        return reply_json(r, 200, STR("{\"status\":\"ready\"}"));
    return reply_json(r, 503, STR("{\"status\":\"unavailable\"}"));
}

int system_info(struct req *r)
{
    struct json_writer w;

    reply_begin(r, &w);
    json_object_begin(&w);
    json_field_str(&w, STR("auth_mode"), STR("otp"));
    json_field_str(&w, STR("version"), STR("1.0.0"));
    json_key_write(&w, STR("features"));
    json_object_begin(&w);
    json_field_bool(&w, STR("clickhouse"),
                    false); /* request logs and code execution come with areas of their own */
    json_field_bool(&w, STR("smtp"), mail_is_configured());
    json_field_bool(&w, STR("code_execution"), false);
    json_object_end(&w);
    json_object_end(&w);
    return reply_written(r, 200);
}
