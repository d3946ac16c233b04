#include "test.h"

#include "handlers/history.h"

static struct str write_all(struct arena *a, const struct history_row *rows, size_t count,
                            unsigned results_inline)
{
    struct json_writer w;
    struct buf b;

    buf_init_arena(&b, a);
    json_write_init(&w, &b);
    json_array_begin(&w);
    history_write(a, &w, rows, count, results_inline);
    json_array_end(&w);
    return buf_str(&b);
}

#define CALLS(id)                                                                                            \
    STR("[{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},"      \
                         "\"description\":\"d\"}]")
#define SENT(id)                                                                                             \
    "\"tool_calls\":[{\"id\":\"" id                                                                          \
    "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"

TEST(history_keeps_plain_messages_and_parts)
{
    const struct history_row rows[] = {
        {.role = STR("system"), .content = STR("s")},
        {.role = STR("user"), .content = STR("[{\"type\":\"text\",\"text\":\"x\"}]"), .is_parts = true},
        {.role = STR("assistant"), .content = STR("a \"quoted\"")},
        {.role = STR("user"), .content = STR("[1, 2]")},
    };

    CHECK_STR(write_all(a, rows, nelem(rows), 5),
              STR("[{\"role\":\"system\",\"content\":\"s\"},"
                  "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},"
                  "{\"role\":\"assistant\",\"content\":\"a \\\"quoted\\\"\"},"
                  "{\"role\":\"user\",\"content\":\"[1, 2]\"}]"));
}

TEST(history_puts_results_behind_their_call)
{
    const struct history_row rows[] = {
        {.role = STR("assistant"), .content = STR_NONE, .tool_calls = CALLS("c1")},
        {.role = STR("user"), .content = STR("meanwhile")},
        {.role = STR("tool"), .content = STR("r1"), .tool_call_id = STR("c1"), .name = STR("f")},
        {.role = STR("tool"), .content = STR("lost"), .tool_call_id = STR("c9"), .name = STR("f")},
    };

    CHECK_STR(write_all(a, rows, nelem(rows), 5),
              STR("[{\"role\":\"assistant\",\"content\":null," SENT(
                  "c1") ","
                        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"name\":\"f\",\"content\":\"r1\"},"
                        "{\"role\":\"user\",\"content\":\"meanwhile\"}]"));
}

TEST(history_answers_interrupted_calls)
{
    const struct history_row rows[] = {
        {.role = STR("assistant"), .content = STR("t"), .tool_calls = CALLS("c1")},
        {.role = STR("user"), .content = STR("next")},
    };
    struct str sent = write_all(a, rows, nelem(rows), 5);

    CHECK(
        str_find(sent,
                 STR("{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"name\":\"f\",\"content\":\"{\\\"error\\\":"
                     "\\\"interrupted\\\"")) > 0);
    CHECK(str_find(sent, STR("interrupted")) < str_find(sent, STR("next")));
}

TEST(history_repeated_ids_go_to_their_own_turn)
{
    const struct history_row rows[] = {
        {.role = STR("assistant"), .tool_calls = CALLS("call_0")},
        {.role = STR("tool"), .content = STR("first"), .tool_call_id = STR("call_0")},
        {.role = STR("assistant"), .tool_calls = CALLS("call_0")},
        {.role = STR("tool"), .content = STR("second"), .tool_call_id = STR("call_0")},
    };
    struct str sent = write_all(a, rows, nelem(rows), 5);

    CHECK(str_find(sent, STR("first")) > 0);
    CHECK(str_find(sent, STR("first")) < str_find(sent, STR("second")));
    CHECK(str_find(sent, STR("interrupted")) < 0);
}

TEST(history_compacts_old_results_but_not_the_current_turn)
{
    struct history_row rows[14];
    struct str sent;

    for (int i = 0; i < 14; i += 2) {
        struct str id = arena_strf(a, "c%d", i / 2);

        rows[i] = (struct history_row){
            .role = STR("assistant"),
            .tool_calls = arena_strf(
                a, "[{\"id\":\"c%d\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]", i / 2)};
        rows[i + 1] = (struct history_row){.role = STR("tool"),
                                           .content = arena_strf(a, "result%d", i / 2),
                                           .tool_call_id = id,
                                           .name = STR("f")};
    }
    sent = write_all(a, rows, 14, 5);
    CHECK(str_find(sent, STR("result0")) < 0);
    CHECK(str_find(sent, STR("result1")) < 0);
    CHECK(str_find(sent, STR("result2")) > 0);
    CHECK(str_find(sent, STR("retrieve_tool_result with tool_call_id \\\"c0\\\"")) > 0);
    for (int i = 0; i < 14; i++)
        rows[i].is_current = true;
    CHECK(str_find(write_all(a, rows, 14, 5), STR("result0")) > 0);
}
