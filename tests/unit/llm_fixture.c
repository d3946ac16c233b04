#include "llm_fixture.h"

#include "test.h"

static void on_text(void *arg, struct str text)
{
    buf_addf(arg, "text(" STR_FMT ")", STR_ARG(text));
}

static void on_tool(void *arg, struct str tool_json)
{
    buf_addf(arg, "tool(" STR_FMT ")", STR_ARG(tool_json));
}

static void write_result(struct buf *out, const struct llm_result *r)
{
    buf_addf(out, "end(" STR_FMT, STR_ARG(r->finish));
    if (!str_is_none(r->tool_calls))
        buf_addf(out, " " STR_FMT, STR_ARG(r->tool_calls));
    if (r->usage.is_known)
        buf_addf(out, " %d+%d=%d", (int)r->usage.prompt, (int)r->usage.completion, (int)r->usage.total);
    buf_addf(out, ")");
}

static int feed_pieces(struct llm_stream *s, struct str wire, size_t cut, size_t step)
{
    int rc = llm_stream_feed(s, str_head(wire, cut));

    wire = str_from_offset(wire, cut);
    while (wire.n > 0 && rc == 0) {
        size_t n = step != 0 && step < wire.n ? step : wire.n;

        rc = llm_stream_feed(s, str_head(wire, n));
        wire = str_from_offset(wire, n);
    }
    return rc;
}

/* Everything that a wire says, as text. */
static struct str stream_read(struct arena *a, const struct llm_codec *codec, struct str wire, size_t cut,
                              size_t step)
{
    struct buf seen;
    struct llm_sink sink = {.on_text = on_text, .on_tool = on_tool, .arg = &seen};
    struct llm_stream s;
    struct llm_result result;

    buf_init_arena(&seen, a);
    llm_stream_init(&s, codec, &sink);
    if (feed_pieces(&s, wire, cut, step) >= 0 && llm_stream_finish(&s, a, &result) == 0)
        write_result(&seen, &result);
    else
        buf_addf(&seen, "failed(" STR_FMT ")", STR_ARG(buf_str(&s.error)));
    llm_stream_fini(&s);
    return buf_str(&seen);
}

void llm_wire_check(struct arena *a, const char *type, struct str wire, struct str wanted)
{
    const struct llm_codec *codec = llm_codec_find(str_from(type));

    CHECK_STR(stream_read(a, codec, wire, 0, 0), wanted);
    for (size_t cut = 1; cut <= wire.n; cut++) {
        struct arena own;

        arena_init(&own);
        CHECK_STR(stream_read(&own, codec, wire, cut, 0), wanted);
        arena_fini(&own);
    }
    CHECK_STR(stream_read(a, codec, wire, 0, 1), wanted);
}

void llm_request_make(struct arena *a, const char *type, const char *body, const char *config,
                      unsigned quirks, struct llm_http *http)
{
    const struct llm_codec *codec = llm_codec_find(str_from(type));
    struct llm_ask ask = {.base = STR("http://x"), .key = STR("k"), .quirks = quirks};
    struct json_error error;

    CHECK_INT(json_parse(a, str_from(body), &ask.body, &error), 0);
    if (config != NULL)
        CHECK_INT(json_parse(a, str_from(config), &ask.config, &error), 0);
    *http = (struct llm_http){0};
    codec->request(a, &ask, http);
}
