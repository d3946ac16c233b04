#include "handlers/history.h"

struct history {
    struct arena *arena;
    struct json_writer *w;
    const struct history_row *rows;
    size_t count;
    bool *is_used;    /* results that were placed */
    bool *is_compact; /* results that are replaced by a reference */
};

static bool is_result(const struct history_row *row)
{
    return str_eq(row->role, STR("tool"));
}

static void history_mark_old_results(struct history *h, unsigned results_inline)
{
    unsigned seen = 0;

    for (size_t i = h->count; i-- > 0;) {
        if (!is_result(&h->rows[i]))
            continue;
        seen++;
        h->is_compact[i] = seen > results_inline && !h->rows[i].is_current;
    }
}

static void write_content(struct history *h, const struct history_row *row)
{
    if (row->is_parts)
        json_field_raw(h->w, STR("content"), row->content);
    else
        json_field_str(h->w, STR("content"), row->content);
}

static void write_result(struct history *h, size_t i)
{
    const struct history_row *row = &h->rows[i];
    struct str content = row->content;

    if (h->is_compact[i])
        content = arena_strf(h->arena,
                             "[Result of " STR_FMT
                             " left out. Use the tool retrieve_tool_result with tool_call_id \"" STR_FMT
                             "\" to read it.]",
                             STR_ARG(row->name), STR_ARG(row->tool_call_id));
    json_object_begin(h->w);
    json_field_str(h->w, STR("role"), STR("tool"));
    json_field_str(h->w, STR("tool_call_id"), row->tool_call_id);
    if (!str_is_none(row->name))
        json_field_str(h->w, STR("name"), row->name);
    json_field_str(h->w, STR("content"), str_is_none(content) ? STR("") : content);
    json_object_end(h->w);
}

static void write_interrupted(struct history *h, const struct json *call)
{
    json_object_begin(h->w);
    json_field_str(h->w, STR("role"), STR("tool"));
    json_field_str(h->w, STR("tool_call_id"), json_get_text(call, STR("id")));
    json_field_str(h->w, STR("name"), json_get_text(json_get(call, STR("function")), STR("name")));
    json_field_str(
        h->w, STR("content"),
        STR("{\"error\":\"interrupted\",\"message\":\"The call was interrupted before it had a result.\"}"));
    json_object_end(h->w);
}

/* The next unused result of that id behind row i; some old data repeats ids in later turns. */
static ssize_t history_find_result(const struct history *h, size_t i, struct str id)
{
    for (size_t at = i + 1; at < h->count; at++) {
        if (is_result(&h->rows[at]) && !h->is_used[at] && str_eq(h->rows[at].tool_call_id, id))
            return (ssize_t)at;
    }
    return -1;
}

static void write_calls(struct history *h, const struct json *calls)
{
    json_key_write(h->w, STR("tool_calls"));
    json_array_begin(h->w);
    json_each (call, calls) {
        const struct json *function = json_get(call, STR("function"));

        json_object_begin(h->w);
        json_field_str(h->w, STR("id"), json_get_text(call, STR("id")));
        json_field_str(h->w, STR("type"), STR("function"));
        json_key_write(h->w, STR("function"));
        json_object_begin(h->w);
        json_field_str(h->w, STR("name"), json_get_text(function, STR("name")));
        json_field_str(h->w, STR("arguments"), json_get_text(function, STR("arguments")));
        json_object_end(h->w);
        json_object_end(h->w);
    }
    json_array_end(h->w);
}

static const struct json *row_calls(struct history *h, const struct history_row *row)
{
    const struct json *calls;
    struct json_error error;

    if (str_is_none(row->tool_calls) || json_parse(h->arena, row->tool_calls, &calls, &error) < 0 ||
        json_count(calls) == 0)
        return NULL;
    return calls;
}

static void write_row(struct history *h, size_t i)
{
    const struct history_row *row = &h->rows[i];
    const struct json *calls = row_calls(h, row);

    json_object_begin(h->w);
    json_field_str(h->w, STR("role"), row->role);
    write_content(h, row);
    if (calls != NULL)
        write_calls(h, calls);
    json_object_end(h->w);
    json_each (call, calls) {
        ssize_t at = history_find_result(h, i, json_get_text(call, STR("id")));

        if (at < 0) {
            write_interrupted(h, call);
        } else {
            h->is_used[at] = true;
            write_result(h, (size_t)at);
        }
    }
}

void history_write(struct arena *a, struct json_writer *w, const struct history_row *rows, size_t count,
                   unsigned results_inline)
{
    struct history h = {.arena = a, .w = w, .rows = rows, .count = count};

    h.is_used = arena_zalloc(a, count * sizeof(bool));
    h.is_compact = arena_zalloc(a, count * sizeof(bool));
    history_mark_old_results(&h, results_inline);
    for (size_t i = 0; i < count; i++) {
        if (!is_result(&rows[i]))
            write_row(&h, i);
    }
}
