/* Mistral's and Anthropic's dialects, as far as they differ. */
#include "test.h"

#include "llm_fixture.h"

#define CHUNK(delta)    "data: {\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}\n\n"
#define MESSAGES(items) "{\"model\":\"m\",\"messages\":[" items "]}"

TEST(llm_mistral_typed_chunks_and_usage_in_the_last)
{
    llm_wire_check(
        a, "mistral",
        STR(CHUNK(
            "{\"content\":[{\"type\":\"thinking\",\"thinking\":[]},{\"type\":\"text\",\"text\":\"a\"}]}")
                CHUNK("{\"content\":\"b\"}") "data: "
                                             "{\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":"
                                             "\"model_length\"}],"
                                             "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_"
                                             "tokens\":3}}\n\ndata: [DONE]\n\n"),
        STR("text(a)text(b)end(length 1+2=3)"));
}

TEST(llm_mistral_request)
{
    struct llm_http http;
    struct str id;

    llm_request_make(
        a, "mistral",
        MESSAGES(
            "{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"image\":\"https://h/i\"},"
            "{\"type\":\"file\",\"file_url\":\"https://h/f\",\"filename\":\"f\"},"
            "{\"type\":\"file\",\"file_url\":\"http://host.docker.internal/f\"},"
            "{\"type\":\"audio\",\"format\":\"ogg\",\"data\":\"AA==\"}]},"
            "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call_1\",\"function\":"
            "{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"abcDEF123\",\"function\":{\"name\":\"g\","
            "\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"r\"}"),
        "{\"organization_id\":\"o\"}", 0, &http);
    id = llm_id_hashed(a, STR("call_1"), 9);
    CHECK_INT(id.n, 9);
    CHECK_STR(
        http.body,
        arena_strf(
            a,
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":["
            "{\"type\":\"image_url\",\"image_url\":\"https://h/i\"},"
            "{\"type\":\"text\",\"text\":\"Image URL: https://h/i\"},"
            "{\"type\":\"document_url\",\"document_url\":\"https://h/f\",\"document_name\":\"f\"},"
            "{\"type\":\"text\",\"text\":\"File 'f' URL: https://h/f\"},"
            "{\"type\":\"text\",\"text\":\"File URL: http://host.docker.internal/f\"},"
            "{\"type\":\"input_audio\",\"input_audio\":\"AA==\"}]},"
            "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"%.9s\",\"type\":\"function\","
            "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"abcDEF123\",\"type\":\"function\","
            "\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"%."
            "9s\","
            "\"name\":\"f\",\"content\":\"r\"}],\"stream\":true}",
            id.p, id.p));
    CHECK_INT(http.headers_count, 2);
}

#define EVENT(name, fields) "event: " name "\ndata: {\"type\":\"" name "\"" fields "}\n\n"

TEST(llm_anthropic_answer)
{
    llm_wire_check(
        a, "anthropic",
        STR(EVENT("message_start",
                  ",\"message\":{\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":2,"
                  "\"cache_creation_input_tokens\":1,\"output_tokens\":1}}") EVENT("ping", "")
                EVENT("content_block_start",
                      ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
                    EVENT("content_block_delta",
                          ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}")
                        EVENT("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"other\"}")
                            EVENT("content_block_stop", ",\"index\":0")
                                EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":"
                                                       "{\"output_tokens\":4}") EVENT("message_stop", "")),
        STR("text(a)end(stop 6+4=10)"));
    llm_wire_check(a, "anthropic",
                   STR(EVENT("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}")),
                   STR("failed(busy)"));
}

TEST(llm_anthropic_tool_calls)
{
    llm_wire_check(
        a, "anthropic",
        STR(EVENT("content_block_start", ",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\","
                                         "\"name\":\"f\",\"input\":{}}")
                EVENT("content_block_delta",
                      ",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}")
                    EVENT("content_block_delta",
                          ",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"[1]\"}")
                        EVENT("content_block_stop", ",\"index\":1") EVENT(
                            "content_block_start", ",\"index\":2,\"content_block\":{\"type\":\"tool_use\","
                                                   "\"id\":\"u\",\"name\":\"g\",\"input\":{}}")
                            EVENT("content_block_stop", ",\"index\":2")
                                EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"tool_use\"}")),
        STR("tool({\"index\":0,\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"\"}})"
            "tool({\"index\":0,\"type\":\"function\",\"function\":{\"arguments\":\"[1]\"}})"
            "tool({\"index\":1,\"id\":\"u\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":"
            "\"\"}})"
            "tool({\"index\":1,\"type\":\"function\",\"function\":{\"arguments\":\"{}\"}})"
            "end(tool_calls "
            "[{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"[1]\"}},"
            "{\"id\":\"u\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}])"));
}

static struct str sent_messages(struct arena *a, const char *items)
{
    struct llm_http http;
    const struct json *sent;
    struct json_error error;

    llm_request_make(a, "anthropic", arena_printf(a, MESSAGES("%s"), items), NULL, 0, &http);
    CHECK_INT(json_parse(a, http.body, &sent, &error), 0);
    return json_raw(json_get(sent, STR("messages")));
}

#define TEXT(text)        "{\"type\":\"text\",\"text\":\"" text "\"}"
#define USER(blocks)      "{\"role\":\"user\",\"content\":[" blocks "]}"
#define ASSISTANT(blocks) "{\"role\":\"assistant\",\"content\":[" blocks "]}"
#define CALL(id)          "{\"id\":\"" id "\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}"
#define USE(id)           "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"f\",\"input\":{\"x\":1}}"
#define INTERRUPTED(id)                                                                                      \
    "{\"type\":\"tool_result\",\"tool_use_id\":\"" id                                                        \
    "\",\"content\":\"The call was interrupted; there is no result.\","                                      \
    "\"is_error\":true}"

TEST(llm_anthropic_turns_alternate)
{
    CHECK_STR(sent_messages(
                  a, "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},"
                     "{\"role\":\"assistant\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\" \"},"
                     "{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"d\"}"),
              STR("[" USER(TEXT("a") "," TEXT("b")) "," ASSISTANT(TEXT("c")) "," USER(TEXT("d")) "]"));
    CHECK_STR(sent_messages(a, "{\"role\":\"assistant\",\"content\":\"hello\"}"),
              STR("[" USER(TEXT("(The conversation begins.)")) "," ASSISTANT(TEXT("hello")) "," USER(
                  TEXT("Please continue.")) "]"));
    CHECK_STR(sent_messages(a, ""), STR("[" USER(TEXT("Please continue.")) "]"));
}

TEST(llm_anthropic_every_use_is_answered_next)
{
    CHECK_STR(
        sent_messages(
            a,
            "{\"role\":\"user\",\"content\":\"a\"},"
            "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL("1") "," CALL(
                "2") "]},"
                     "{\"role\":\"user\",\"content\":\"b\"},"
                     "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"{\\\"error\\\":\\\"no\\\"}\"},"
                     "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"again\"},"
                     "{\"role\":\"tool\",\"tool_call_id\":\"9\",\"content\":\"nobody's\"},"
                     "{\"role\":\"assistant\",\"content\":\"c\",\"tool_calls\":[" CALL("3") "]}"),
        STR("[" USER(TEXT("a")) "," ASSISTANT(USE("1") "," USE("2")) "," USER(
            "{\"type\":\"tool_result\",\"tool_use_id\":\"1\",\"content\":\"{\\\"error\\\":\\\"no\\\"}\","
            "\"is_error\":true}," INTERRUPTED("2") "," TEXT(
                "b")) "," ASSISTANT(TEXT("c") "," USE("3")) "," USER(INTERRUPTED("3")) "]"));
}

TEST(llm_anthropic_content_parts)
{
    CHECK_STR(
        sent_messages(
            a, "{\"role\":\"user\",\"content\":["
               "{\"type\":\"image\",\"image\":\"https://h/i\"},"
               "{\"type\":\"image\",\"image\":\"data:image/png;base64,AA==\"},"
               "{\"type\":\"audio\",\"format\":\"mp3\",\"data\":\"AA==\"},"
               "{\"type\":\"file\",\"file_url\":\"https://h/f\",\"file_data\":\"JVBERi0=\"},"
               "{\"type\":\"file\",\"file_data\":\"JVBERi0=\"},{\"type\":\"file\",\"file_data\":\"aGk=\"}]}"),
        STR("[" USER("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://h/i\"}}," TEXT(
            "Image URL: https://h/i") ","
                                      "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
                                      "\"image/png\",\"data\":"
                                      "\"AA==\"}}," TEXT(
                                          "(An audio recording (mp3) was attached, but this model cannot "
                                          "take it.)") ","
                                                       "{\"type\":\"document\",\"source\":{\"type\":"
                                                       "\"base64\",\"media_type\":\"application/pdf\","
                                                       "\"data\":\"JVBERi0=\"}}," TEXT(
                                                           "File URL: https://h/f") ","
                                                                                    "{\"type\":\"document\","
                                                                                    "\"source\":{\"type\":"
                                                                                    "\"base64\",\"media_"
                                                                                    "type\":\"application/"
                                                                                    "pdf\","
                                                                                    "\"data\":\"JVBERi0=\"}}"
                                                                                    "," TEXT(
                                                                                        "File without a "
                                                                                        "name:\\nhi")) "]"));
}

TEST(llm_anthropic_request)
{
    const char *body =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
        "{\"role\":\"system\",\"content\":\"t\"},{\"role\":\"user\",\"content\":\"a\"}],\"temperature\":1.5,"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":"
        "{\"p\":1}}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]}";
    struct llm_http http;

    llm_request_make(a, "anthropic", body, NULL, 0, &http);
    CHECK_STR(http.url, STR("http://x/v1/messages"));
    CHECK_STR(http.headers[1], STR("anthropic-version: 2023-06-01"));
    CHECK_STR(http.headers[2], STR("x-api-key: k"));
    CHECK_STR(http.body,
              STR("{\"model\":\"m\",\"max_tokens\":16384,\"temperature\":1,\"system\":\"s\\n\\nt\","
                  "\"messages\":[" USER(TEXT(
                      "a")) "],\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"p\":1}},"
                            "{\"name\":\"g\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],"
                            "\"stream\":true}"));
    llm_request_make(a, "anthropic", body, "{\"prompt_caching\":true,\"max_tokens\":5}", LLM_NO_TEMPERATURE,
                     &http);
    CHECK_STR(http.body,
              STR("{\"model\":\"m\",\"max_tokens\":5,\"system\":[{\"type\":\"text\",\"text\":\"s\\n\\nt\","
                  "\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[" USER(
                      TEXT("a")) "],\"tools\":["
                                 "{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"p\":1}},{"
                                 "\"name\":\"g\",\"input_schema\":"
                                 "{\"type\":\"object\",\"properties\":{}},\"cache_control\":{\"type\":"
                                 "\"ephemeral\"}}],\"stream\":true}"));
    llm_request_make(a, "anthropic",
                     "{\"model\":\"m\",\"messages\":[],\"provider_overrides\":{\"prompt_caching\":false}}",
                     "{\"prompt_caching\":true}", 0, &http);
    CHECK(str_find(http.body, STR("cache_control")) < 0);
}
