/* Providers' dialects: what is sent, and what recorded streams mean wherever they are cut. */
#include "test.h"

#include "llm_fixture.h"
#include "workers/llm_rules.h"

#define CHUNK(delta)   "data: {\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}\n\n"
#define FINISH(reason) "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}\n\n"
#define USAGE                                                                                                \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n"
#define DONE "data: [DONE]\n\n"

TEST(llm_openai_plain_answer)
{
    llm_wire_check(a, "openai",
                   STR(CHUNK("{\"role\":\"assistant\",\"content\":\"\"}") CHUNK("{\"content\":\"Hi\"}")
                           CHUNK("{\"content\":null}") CHUNK("{\"content\":\" \\u00e4\\ud83d\\ude00\"}")
                               FINISH("stop") USAGE DONE),
                   STR("text(Hi)text( \xc3\xa4\xf0\x9f\x98\x80)end(stop 3+4=7)"));
}

TEST(llm_openai_finish_reason_may_come_first_and_done_may_be_missing)
{
    llm_wire_check(a, "openai",
                   STR(CHUNK("{\"content\":\"a\"}") FINISH("length") CHUNK("{\"content\":\"b\"}")),
                   STR("text(a)text(b)end(length)"));
    llm_wire_check(a, "openai", STR(CHUNK("{\"content\":\"a\"}") DONE), STR("text(a)end(stop)"));
    llm_wire_check(a, "openai", STR(CHUNK("{\"content\":\"a\"}") FINISH("stop") "data: [DONE]"),
                   STR("text(a)end(stop)"));
}

TEST(llm_openai_nothing_counts_behind_done)
{
    llm_wire_check(a, "openai", STR(CHUNK("{\"content\":\"a\"}") DONE CHUNK("{\"content\":\"b\"}")),
                   STR("text(a)end(stop)"));
}

TEST(llm_openai_broken_streams)
{
    llm_wire_check(a, "openai", STR(CHUNK("{\"content\":\"a\"}")),
                   STR("text(a)failed(the provider's stream broke off)"));
    llm_wire_check(a, "openai", STR("<html>no</html>"),
                   STR("failed(the provider's answer is not the expected stream)"));
    llm_wire_check(a, "openai", STR(""), STR("failed(the provider's answer is not the expected stream)"));
    llm_wire_check(a, "openai",
                   STR(CHUNK("{\"content\":\"a\"}") "data: {\"error\":{\"message\":\"no more\"}}\n\n"),
                   STR("text(a)failed(no more)"));
    llm_wire_check(a, "openai", STR("data: {\"error\":\"plain\"}\n\n"), STR("failed(plain)"));
    llm_wire_check(a, "openai", STR("data: {\"error\":{}}\n\n"), STR("failed(unknown error)"));
}

TEST(llm_openai_odd_shapes_are_nothing)
{
    llm_wire_check(
        a, "openai",
        STR("data: {}\n\ndata: {\"choices\":{}}\n\ndata: {\"choices\":[7]}\n\ndata: {\"choices\":[{}]}\n\n"
            "data: {\"choices\":[{\"delta\":[]}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":5}}]}\n\n"
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":{\"a\":1}}}],\"usage\":null}\n\n"
            "data: [1\n\ndata: 5\n\n" DONE),
        STR("end(stop)"));
}

TEST(llm_half_characters_cost_only_themselves)
{
    llm_wire_check(a, "openai",
                   STR(CHUNK("{\"content\":\"a\\ud83d\"}")
                           CHUNK("{\"content\":\"\\uDE00b\\ud83d\\ude00\\\\ud83d\"}")
                               CHUNK("{\"content\":\"c\xc3\"}") CHUNK("{\"content\":\"\xa4"
                                                                      "d\"}") DONE),
                   STR("text(a\xef\xbf\xbd)text(\xef\xbf\xbd"
                       "b\xf0\x9f\x98\x80\\ud83d)text(c\xef\xbf\xbd)"
                       "text(\xef\xbf\xbd"
                       "d)end(stop)"));
}

#define TOOLS(items) CHUNK("{\"tool_calls\":[" items "]}")

TEST(llm_openai_tool_calls_interleave_by_index)
{
    llm_wire_check(
        a, "openai",
        STR(TOOLS("{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                  "\"arguments\":\"\"}}")
                TOOLS("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"[\"}}")
                    TOOLS("{\"index\":0,\"id\":\"\",\"function\":{\"name\":\"\",\"arguments\":\"{\\\"x\"}},"
                          "{\"index\":1,\"function\":{\"arguments\":\"]\"}}")
                        TOOLS("{\"index\":0,\"function\":{\"arguments\":\"\\\":1}\"}}") FINISH("tool_calls")
                            DONE),
        STR("tool({\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"\"}})"
            "tool({\"index\":1,\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":"
            "\"[\"}})"
            "tool({\"index\":0,\"type\":\"function\",\"function\":{\"arguments\":\"{\\\"x\"}})"
            "tool({\"index\":1,\"type\":\"function\",\"function\":{\"arguments\":\"]\"}})"
            "tool({\"index\":0,\"type\":\"function\",\"function\":{\"arguments\":\"\\\":1}\"}})"
            "end(tool_calls [{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"{\\\"x\\\":1}\"}},{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\","
            "\"arguments\":"
            "\"[]\"}}])"));
}

TEST(llm_openai_tool_calls_without_index)
{
    llm_wire_check(
        a, "openai",
        STR(TOOLS("{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"1\"}}")
                TOOLS("{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"2\"}}")
                    TOOLS("{\"id\":\"a\",\"function\":{\"arguments\":\"3\"}}")
                        TOOLS("{\"function\":{\"arguments\":\"4\"}}") FINISH("stop")),
        STR("tool({\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"1\"}})"
            "tool({\"index\":1,\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":"
            "\"2\"}})"
            "tool({\"index\":0,\"type\":\"function\",\"function\":{\"arguments\":\"3\"}})"
            "tool({\"index\":1,\"type\":\"function\",\"function\":{\"arguments\":\"4\"}})"
            "end(tool_calls "
            "[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"13\"}},"
            "{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"24\"}}])"));
}

TEST(llm_openai_all_calls_numbered_zero)
{
    llm_wire_check(
        a, "openai",
        STR(TOOLS("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"1\"}}")
                TOOLS("{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"2\"}}") DONE),
        STR("tool({\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"1\"}})"
            "tool({\"index\":1,\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"2\"}})"
            "end(tool_calls "
            "[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"1\"}},"
            "{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"2\"}}])"));
}

TEST(llm_openai_nameless_calls_are_held_back)
{
    llm_wire_check(
        a, "openai",
        STR(TOOLS("{\"index\":0,\"id\":\"a\"}")
                TOOLS("{\"index\":1,\"id\":\"b\",\"function\":{\"arguments\":\"[\"}}") TOOLS(
                    "{\"index\":1,\"function\":{\"name\":\"g\",\"arguments\":\"]\"}}") FINISH("tool_calls")),
        STR("tool({\"index\":0,\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":"
            "\"[]\"}})"
            "end(tool_calls "
            "[{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"[]\"}}])"));
    llm_wire_check(a, "openai", STR(TOOLS("{\"index\":0,\"id\":\"a\"}") FINISH("tool_calls")),
                   STR("end(stop)"));
}

static struct str id_of(struct arena *a, struct str tool_calls, size_t n)
{
    const struct json *calls;
    struct json_error error;

    CHECK_INT(json_parse(a, tool_calls, &calls, &error), 0);
    return json_get_text(json_at(calls, n), STR("id"));
}

static void sink_nothing(void *arg UNUSED, struct str text UNUSED)
{
}

static void result_of(struct arena *a, const char *type, struct str wire, struct llm_result *result)
{
    struct llm_sink sink = {.on_text = sink_nothing, .on_tool = sink_nothing};
    struct llm_stream s;

    llm_stream_init(&s, llm_codec_find(str_from(type)), &sink);
    CHECK(llm_stream_feed(&s, wire) >= 0);
    CHECK_INT(llm_stream_finish(&s, a, result), 0);
    llm_stream_fini(&s);
}

TEST(llm_openai_missing_and_equal_ids_are_replaced)
{
    struct llm_result r;

    result_of(a, "openai",
              STR(TOOLS("{\"index\":0,\"function\":{\"name\":\"f\"}},{\"index\":1,\"id\":\"x\",\"function\":{"
                        "\"name\":\"f\"}},"
                        "{\"index\":2,\"id\":\"x\",\"function\":{\"name\":\"f\"}}") DONE),
              &r);
    CHECK_INT(id_of(a, r.tool_calls, 0).n, 29);
    CHECK(str_starts(id_of(a, r.tool_calls, 0), STR("call_")));
    CHECK_STR(id_of(a, r.tool_calls, 1), STR("x"));
    CHECK_INT(id_of(a, r.tool_calls, 2).n, 29);
}

TEST(llm_ollama_answer)
{
    llm_wire_check(a, "ollama",
                   STR("{\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n"
                       "{\"message\":{\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\r\nnonsense\n"
                       "{\"message\":{\"content\":\"b\"},\"done\":false}\n"
                       "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"length\",\"prompt_"
                       "eval_count\":3,"
                       "\"eval_count\":4}"),
                   STR("text(a)text(b)end(length 3+4=7)"));
    llm_wire_check(a, "ollama", STR("{\"message\":{\"content\":\"a\"}}\n{\"error\":\"out of memory\"}\n"),
                   STR("text(a)failed(out of memory)"));
    llm_wire_check(a, "ollama", STR("{\"message\":{\"content\":\"a\"}}\n"),
                   STR("text(a)failed(the provider's stream broke off)"));
}

TEST(llm_ollama_calls_are_whole_and_get_ids)
{
    struct llm_result r;

    result_of(a, "ollama",
              STR("{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1.50}}},"
                  "{\"function\":{\"name\":\"f\",\"arguments\":{}}}]}}\n{\"done\":true,\"done_reason\":"
                  "\"stop\"}\n"),
              &r);
    CHECK_STR(r.finish, STR("tool_calls"));
    CHECK(str_find(r.tool_calls, STR("\"arguments\":\"{\\\"x\\\":1.50}\"")) > 0);
    CHECK_INT(id_of(a, r.tool_calls, 0).n, 29);
    CHECK(!str_eq(id_of(a, r.tool_calls, 0), id_of(a, r.tool_calls, 1)));
    CHECK(!r.usage.is_known);
}

/* ---- requests ---- */

static void request_check(struct arena *a, const char *type, const char *body, const char *config,
                          unsigned quirks, const char *wanted)
{
    struct llm_http http;

    llm_request_make(a, type, body, config, quirks, &http);
    CHECK_STR(http.body, str_from(wanted));
}

TEST(llm_openai_request_plain)
{
    struct llm_http http;

    llm_request_make(a, "openai", "{\"model\":\"m\",\"messages\":[]}", "{\"organization_id\":\"o\"}", 0,
                     &http);
    CHECK_STR(http.url, STR("http://x/chat/completions"));
    CHECK_INT(http.headers_count, 3);
    CHECK_STR(http.headers[1], STR("Authorization: Bearer k"));
    CHECK_STR(http.headers[2], STR("OpenAI-Organization: o"));
    CHECK_STR(
        http.body,
        STR("{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}"));
    llm_request_make(a, "openai", "{\"model\":\"m\",\"messages\":[]}",
                     "{\"organization_id\":\"o\\r\\nX: y\"}", 0, &http);
    CHECK_INT(http.headers_count, 2);
}

TEST(llm_openai_request_parameters)
{
    const char *body =
        "{\"model\":\"m\",\"messages\":[],\"temperature\":0.70,\"max_tokens\":5,\"tools\":[{\"a\":1}],"
        "\"response_format\":{\"type\":\"json_object\"},\"provider_overrides\":{}}";

    request_check(
        a, "openai", body, NULL, 0,
        "{\"model\":\"m\",\"messages\":[],\"temperature\":0.70,\"max_tokens\":5,\"tools\":[{\"a\":1}],"
        "\"tool_choice\":\"auto\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
        "\"response_format\":{\"type\":\"json_object\"}}");
    request_check(a, "openai", body, "{\"stream_usage\":false}",
                  LLM_NO_TEMPERATURE | LLM_MAX_COMPLETION_TOKENS,
                  "{\"model\":\"m\",\"messages\":[],\"max_completion_tokens\":5,\"tools\":[{\"a\":1}],"
                  "\"tool_choice\":\"auto\",\"stream\":true,\"response_format\":{\"type\":\"json_object\"}}");
    request_check(a, "openai",
                  "{\"model\":\"m\",\"messages\":[],\"temperature\":null,\"max_tokens\":null,\"tools\":[]}",
                  "{\"max_tokens\":9}", LLM_NO_STREAM_OPTIONS,
                  "{\"model\":\"m\",\"messages\":[],\"max_tokens\":9,\"stream\":true}");
}

#define MESSAGES(items) "{\"model\":\"m\",\"messages\":[" items "]}"
#define SENT(items)     "{\"model\":\"m\",\"messages\":[" items "],\"stream\":true}"

TEST(llm_openai_request_messages)
{
    request_check(
        a, "openai",
        MESSAGES(
            "{\"role\":\"system\",\"content\":\"s\",\"id\":1},{\"role\":\"user\",\"content\":\"[1, 2]\"},"
            "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
            "\"description\":\"d\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
            "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"name\":\"f\",\"content\":\"r\"},"
            "{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":[]}"),
        NULL, LLM_NO_STREAM_OPTIONS,
        SENT("{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"[1, 2]\"},"
             "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
             "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
             "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"r\"},"
             "{\"role\":\"assistant\",\"content\":\"t\"}"));
}

static void openai_part_check(struct arena *a, const char *part, const char *wanted)
{
    struct llm_http http;
    const char *body = arena_printf(a, MESSAGES("{\"role\":\"user\",\"content\":[%s]}"), part);

    llm_request_make(a, "openai", body, NULL, LLM_NO_STREAM_OPTIONS, &http);
    CHECK_STR(http.body, str_from(arena_printf(a, SENT("{\"role\":\"user\",\"content\":[%s]}"), wanted)));
}

#define NOTE(text) "{\"type\":\"text\",\"text\":\"" text "\"}"

TEST(llm_openai_content_parts)
{
    openai_part_check(a, "\"bare\",{\"type\":\"text\",\"text\":\"t\"}", NOTE("bare") "," NOTE("t"));
    openai_part_check(
        a, "{\"type\":\"image\",\"image\":\"https://h/i\",\"detail\":\"low\"}",
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/i\",\"detail\":\"low\"}}," NOTE(
            "Image URL: https://h/i"));
    openai_part_check(a, "{\"type\":\"image\",\"image\":\"data:image/png;base64,AA==\"}",
                      "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
                      "png;base64,AA==\",\"detail\":\"auto\"}}");
    openai_part_check(a, "{\"type\":\"audio\",\"format\":\"mp3\",\"data\":\"AA==\"}",
                      "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA==\",\"format\":\"mp3\"}}");
    openai_part_check(a, "{\"type\":\"audio\",\"format\":\"ogg\",\"data\":\"AA==\"}",
                      NOTE("(An audio recording (ogg) was attached, but this model cannot take it.)"));
    openai_part_check(a, "{\"type\":\"audio\",\"format\":\"ogg\",\"url\":\"https://h/a\"}",
                      NOTE("Audio (ogg) URL: https://h/a"));
    openai_part_check(
        a,
        "{\"type\":\"file\",\"file_url\":\"https://h/f\",\"filename\":\"f.pdf\",\"file_data\":\"JVBERi0=\"}",
        NOTE("File 'f.pdf' URL: https://h/f"));
    openai_part_check(a, "{\"type\":\"file\",\"file_id\":\"id\"}",
                      "{\"type\":\"file\",\"file\":{\"file_id\":\"id\"}}");
    openai_part_check(a, "{\"type\":\"file\",\"file_data\":\"JVBERi0=\",\"filename\":\"f\"}",
                      "{\"type\":\"file\",\"file\":{\"filename\":\"f\",\"file_data\":"
                      "\"data:application/pdf;base64,JVBERi0=\"}}");
    openai_part_check(a, "{\"type\":\"file\",\"file_data\":\"aGk=\",\"filename\":\"f.txt\"}",
                      NOTE("File f.txt:\\nhi"));
    openai_part_check(a, "{\"type\":\"file\",\"file_data\":\"/w==\",\"filename\":\"f.bin\"}",
                      NOTE("(A file f.bin was attached, but this model cannot take it.)"));
    openai_part_check(a, "{\"type\":\"video\"}",
                      NOTE("(Something was attached that this model cannot take.)"));
}

TEST(llm_ollama_request)
{
    struct llm_http http;

    llm_request_make(
        a, "ollama",
        "{\"model\":\"m\",\"messages\":["
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\",\"image\":"
        "\"data:image/png;base64,AA==\"},{\"type\":\"image\",\"image\":\"https://h/i\"}]},"
        "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{\\\"x\\\": "
        "1}\"}},{\"id\":\"d\",\"function\":{\"name\":\"g\",\"arguments\":\"oops\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"d\",\"content\":\"r\"}],\"temperature\":0,\"tools\":[{\"t\":1}"
        "],"
        "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"s\":1}}}}",
        "{\"max_tokens\":8}", 0, &http);
    CHECK_STR(http.url, STR("http://x/api/chat"));
    CHECK_STR(
        http.body,
        STR("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\\nImage URL: "
            "https://h/i\",\"images\":"
            "[\"AA==\"]},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":"
            "\"f\","
            "\"arguments\":{\"x\":1}}},{\"function\":{\"name\":\"g\",\"arguments\":{}}}]},{\"role\":\"tool\","
            "\"content\":\"r\",\"tool_name\":\"g\"}],\"stream\":true,\"options\":{\"temperature\":0,\"num_"
            "predict\":8},"
            "\"tools\":[{\"t\":1}],\"format\":{\"s\":1}}"));
}

/* ---- rules ---- */

TEST(llm_retry_delay)
{
    CHECK_INT(llm_retry_delay_ms(STR("1500"), STR("9"), 0, 0, 0), 1500);
    CHECK_INT(llm_retry_delay_ms(STR("0.4"), STR_NONE, 0, 0, 0), 1);
    CHECK_INT(llm_retry_delay_ms(STR_NONE, STR(" 2 "), 0, 0, 0), 2000);
    CHECK_INT(llm_retry_delay_ms(STR_NONE, STR("0.25"), 0, 0, 0), 250);
    CHECK_INT(llm_retry_delay_ms(STR_NONE, STR("60"), 0, 0, 0), 60000);
    CHECK_INT(llm_retry_delay_ms(STR_NONE, STR("61"), 0, 0, 0), 500);
    CHECK_INT(llm_retry_delay_ms(STR_NONE, STR("Thu, 01 Jan 1970 00:01:10 GMT"), 65, 0, 0), 5000);
    CHECK_INT(llm_retry_delay_ms(STR_NONE, STR("Thu, 01 Jan 1970 00:01:10 GMT"), 100, 0, 0), 0);
    CHECK_INT(llm_retry_delay_ms(STR_NONE, STR("soon"), 0, 1, 0), 1000);
    CHECK_INT(llm_retry_delay_ms(STR("-1"), STR("99999999999999999999"), 0, 2, 0), 2000);
    CHECK_INT(llm_retry_delay_ms(STR_NONE, STR_NONE, 0, 9, 0), 8000);
    CHECK_INT(llm_retry_delay_ms(STR_NONE, STR_NONE, 0, 9, 1023), 6000);
    for (uint32_t random = 0; random < 3000; random += 7)
        CHECK(llm_retry_delay_ms(STR_NONE, STR_NONE, 0, 0, random) >= 375);
}

static unsigned quirk_of(struct arena *a, const char *answer)
{
    const struct json *v;
    struct json_error error;

    CHECK_INT(json_parse(a, str_from(answer), &v, &error), 0);
    return llm_quirk_named(v);
}

TEST(llm_quirks_are_recognised)
{
    CHECK_INT(
        quirk_of(
            a, "{\"error\":{\"message\":\"'temperature' does not support 0.7\",\"param\":\"temperature\"}}"),
        LLM_NO_TEMPERATURE);
    CHECK_INT(
        quirk_of(a,
                 "{\"error\":{\"message\":\"no\",\"param\":\"temperature\",\"code\":\"unsupported_value\"}}"),
        LLM_NO_TEMPERATURE);
    CHECK_INT(quirk_of(a, "{\"error\":{\"message\":\"max_tokens: use max_completion_tokens\"}}"),
              LLM_MAX_COMPLETION_TOKENS);
    CHECK_INT(quirk_of(a, "{\"error\":\"Unknown field stream_options\"}"), LLM_NO_STREAM_OPTIONS);
    CHECK_INT(quirk_of(a, "{\"error\":{\"message\":\"temperature is too high\"}}"), 0);
    CHECK_INT(quirk_of(a, "{\"error\":{\"message\":\"unsupported image\"}}"), 0);
    CHECK_INT(quirk_of(a, "[]"), 0);
}

TEST(llm_messages_hide_keys)
{
    CHECK_STR(llm_message(a, STR("bad key my-secret-key-1!"), STR("my-secret-key-1")), STR("bad key ***!"));
    CHECK_STR(llm_message(a, STR("Incorrect: sk-proj-abc****wxyz. See"), STR_NONE),
              STR("Incorrect: ***. See"));
    CHECK_STR(llm_message(a, STR("Bearer abcdef.ghi, gsk_12345678"), STR_NONE), STR("***, ***"));
    CHECK_STR(llm_message(a, STR("a task-force and risk-averse people"), STR_NONE),
              STR("a task-force and risk-averse people"));
    CHECK_STR(llm_message(a,
                          STR("a\r\n\tb\x01"
                              "c "),
                          STR_NONE),
              STR("a   b c"));
    CHECK(str_find(llm_message(a, STR("\xff"), STR_NONE), STR("not readable")) > 0);
}

TEST(llm_messages_are_short)
{
    char *long_text = arena_bytes(a, 2000);

    for (size_t i = 0; i < 2000; i += 2)
        memcpy(long_text + i, "\xc3\xa4", 2);
    CHECK_INT(llm_message(a, str_of(long_text, 2000), STR_NONE).n, 600);
    CHECK_INT(str_utf8_length(llm_message(a, str_of(long_text, 600), STR_NONE)), 300);
}

TEST(llm_words_of_an_answer)
{
    CHECK_STR(llm_answer_words(a, 400, STR("{\"error\":{\"message\":\"m\"}}")), STR("m"));
    CHECK_STR(llm_answer_words(a, 400, STR("{\"message\":\"m\"}")), STR("m"));
    CHECK_STR(llm_answer_words(a, 400, STR("[{\"error\":{\"message\":\"m\"}}]")), STR("m"));
    CHECK_STR(llm_answer_words(a, 400, STR(" busy ")), STR("busy"));
    CHECK_STR(llm_answer_words(a, 502, STR("<html>")), STR("the provider answered HTTP 502"));
    CHECK_STR(llm_answer_words(a, 502, STR("{}")), STR("the provider answered HTTP 502"));
    CHECK(str_find(llm_answer_words(a, 301, STR("")), STR("not followed")) > 0);
}
