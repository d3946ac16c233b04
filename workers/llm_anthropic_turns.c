#include "workers/llm_anthropic_turns.h"

#include "workers/llm_codec.h"
#include "workers/llm_parts.h"

/* A tool_use of an assistant's turn. */
struct use {
    struct use *next;
    struct str id;
    bool is_answered; /* in the turn behind */
};

struct turn {
    struct turn *next;
    bool is_user;
    struct buf results; /* tool_result blocks, which come first, and the others: each an open array of JSON */
    struct buf blocks;
    struct json_writer results_writer, blocks_writer;
    struct use *uses;
};

struct turns {
    struct arena *a;
    struct turn *first, *last, *before_last;
};

/* The last turn if it has that role, else a new one: equal roles in a row become one turn. */
static struct turn *turn_of(struct turns *t, bool is_user)
{
    struct turn *turn = t->last;

    if (turn != NULL && turn->is_user == is_user)
        return turn;
    turn = arena_zalloc(t->a, sizeof(*turn));
    turn->is_user = is_user;
    buf_init_arena(&turn->results, t->a);
    buf_init_arena(&turn->blocks, t->a);
    json_write_init(&turn->results_writer, &turn->results);
    json_write_init(&turn->blocks_writer, &turn->blocks);
    t->before_last = t->last;
    if (t->last != NULL)
        t->last->next = turn;
    else
        t->first = turn;
    t->last = turn;
    return turn;
}

/* Blank texts are refused, so they are left out. */
static void add_text(struct turns *t, bool is_user, struct str text)
{
    struct json_writer *w;

    if (str_trim(text).n == 0)
        return;
    w = &turn_of(t, is_user)->blocks_writer;
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("text"));
    json_field_str(w, STR("text"), text);
    json_object_end(w);
}

/* ---- what users say ---- */

/* {"type": type, "source": {"type": "base64", …}} */
static void add_base64(struct turns *t, struct str type, struct str media_type, struct str data)
{
    struct json_writer *w = &turn_of(t, true)->blocks_writer;

    json_object_begin(w);
    json_field_str(w, STR("type"), type);
    json_key_write(w, STR("source"));
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("base64"));
    json_field_str(w, STR("media_type"), media_type);
    json_field_str(w, STR("data"), data);
    json_object_end(w);
    json_object_end(w);
}

static void add_image_url(struct turns *t, struct str url)
{
    struct json_writer *w = &turn_of(t, true)->blocks_writer;

    json_object_begin(w);
    json_field_str(w, STR("type"), STR("image"));
    json_key_write(w, STR("source"));
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("url"));
    json_field_str(w, STR("url"), url);
    json_object_end(w);
    json_object_end(w);
}

static void add_part(struct turns *t, const struct llm_part *part)
{
    switch (part->kind) {
    case LLM_PART_IMAGE_URL:
        add_image_url(t, part->url);
        break;
    case LLM_PART_IMAGE_DATA:
        add_base64(t, STR("image"), part->mime, part->data);
        return;
    case LLM_PART_FILE_DATA:
    case LLM_PART_FILE_URL:
        if (part->data.n != 0 && llm_part_is_pdf(part))
            add_base64(t, STR("document"), STR("application/pdf"), part->data);
        if (part->kind == LLM_PART_FILE_DATA && llm_part_is_pdf(part))
            return;
        break;
    default:
        break;
    }
    add_text(t, true, llm_part_as_text(t->a, part));
}

static void add_user(struct turns *t, const struct json *content)
{
    if (!json_is(content, JSON_ARRAY)) {
        add_text(t, true, llm_content_text(t->a, content));
        return;
    }
    json_each (item, content) {
        struct llm_part part = llm_part_read(item);

        add_part(t, &part);
    }
}

/* ---- tools ---- */

/* Other providers' ids may hold what is refused here. */
static struct str use_id(struct arena *a, struct str id)
{
    enum { HASHED_SIZE = 24 };
    bool is_fit = id.n != 0;

    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];

        is_fit = is_fit && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                            c == '_' || c == '-');
    }
    return is_fit ? id : llm_id_hashed(a, id, HASHED_SIZE);
}

static void add_use(struct turns *t, const struct json *call)
{
    const struct json *function = json_get(call, STR("function"));
    struct turn *turn = turn_of(t, false);
    struct json_writer *w = &turn->blocks_writer;
    struct use *use = arena_zalloc(t->a, sizeof(*use)), **at = &turn->uses;

    use->id = use_id(t->a, json_get_text(call, STR("id")));
    while (*at != NULL)
        at = &(*at)->next;
    *at = use;
    json_object_begin(w);
    json_field_str(w, STR("type"), STR("tool_use"));
    json_field_str(w, STR("id"), use->id);
    json_field_str(w, STR("name"), json_get_text(function, STR("name")));
    json_field_raw(w, STR("input"), llm_arguments_object(t->a, json_get(function, STR("arguments"))));
    json_object_end(w);
}

static void add_assistant(struct turns *t, const struct json *message)
{
    add_text(t, false, llm_content_text(t->a, json_get(message, STR("content"))));
    json_each (call, json_get(message, STR("tool_calls")))
        add_use(t, call);
}

static void write_result(struct turn *turn, struct str id, struct str text, bool is_error)
{
    struct json_writer *w = &turn->results_writer;

    json_object_begin(w);
    json_field_str(w, STR("type"), STR("tool_result"));
    json_field_str(w, STR("tool_use_id"), id);
    json_field_str(w, STR("content"), text);
    if (is_error)
        json_field_bool(w, STR("is_error"), true);
    json_object_end(w);
}

/* A result that is an object with an error. */
static bool is_error(struct arena *a, struct str text)
{
    const struct json *v;
    struct json_error error;

    return str_starts(str_trim(text), STR("{")) && json_parse(a, text, &v, &error) == 0 &&
           json_type(json_get(v, STR("error"))) != JSON_NULL;
}

static struct use *use_find(struct turn *turn, struct str id)
{
    struct use *use = turn != NULL ? turn->uses : NULL;

    while (use != NULL && (use->is_answered || !str_eq(use->id, id)))
        use = use->next;
    return use;
}

/* A result that answers nothing in the turn before, or a second time, would be refused: it is left out. */
static void add_result(struct turns *t, const struct json *row)
{
    struct str id = use_id(t->a, json_get_text(row, STR("tool_call_id")));
    struct turn *asking = t->last != NULL && t->last->is_user ? t->before_last : t->last;
    struct use *use = use_find(asking, id);
    struct str text = llm_content_text(t->a, json_get(row, STR("content")));

    if (use == NULL)
        return;
    use->is_answered = true;
    write_result(turn_of(t, true), id, text, is_error(t->a, text));
}

/* Before the assistant speaks again, and at the end. */
static void answer_the_rest(struct turns *t)
{
    struct turn *asking = t->last != NULL && t->last->is_user ? t->before_last : t->last;

    for (struct use *use = asking != NULL ? asking->uses : NULL; use != NULL; use = use->next) {
        if (!use->is_answered)
            write_result(turn_of(t, true), use->id, STR("The call was interrupted; there is no result."),
                         true);
        use->is_answered = true;
    }
}

/* ---- the whole ---- */

static void add_message(struct turns *t, const struct json *message)
{
    struct str role = json_get_text(message, STR("role"));

    if (str_eq(role, STR("assistant"))) {
        if (t->last != NULL && t->last->is_user)
            answer_the_rest(t);
        if (t->first == NULL)
            add_text(t, true, STR("(The conversation begins.)"));
        add_assistant(t, message);
    } else if (str_eq(role, STR("tool"))) {
        add_result(t, message);
    } else if (str_eq(role, STR("user"))) {
        add_user(t, json_get(message, STR("content")));
    }
}

static void write_turn(struct json_writer *w, const struct turn *turn)
{
    json_object_begin(w);
    json_field_str(w, STR("role"), turn->is_user ? STR("user") : STR("assistant"));
    json_key_write(w, STR("content"));
    json_array_begin(w);
    if (buf_size(&turn->results) > 0)
        json_write_raw(w, buf_str(&turn->results));
    if (buf_size(&turn->blocks) > 0)
        json_write_raw(w, buf_str(&turn->blocks));
    json_array_end(w);
    json_object_end(w);
}

void anthropic_messages_write(struct arena *a, struct json_writer *w, const struct json *messages)
{
    struct turns t = {.a = a};

    json_each (message, messages)
        add_message(&t, message);
    answer_the_rest(&t);
    if (t.last == NULL || !t.last->is_user)
        add_text(&t, true, STR("Please continue."));
    json_array_begin(w);
    for (const struct turn *turn = t.first; turn != NULL; turn = turn->next)
        write_turn(w, turn);
    json_array_end(w);
}

static bool is_system(struct str role)
{
    return str_eq(role, STR("system")) || str_eq(role, STR("developer"));
}

struct str anthropic_system(struct arena *a, const struct json *messages)
{
    struct buf text;

    buf_init_arena(&text, a);
    json_each (message, messages) {
        struct str one = STR("");

        if (is_system(json_get_text(message, STR("role"))))
            one = llm_content_text(a, json_get(message, STR("content")));
        if (str_trim(one).n == 0)
            continue;
        if (buf_size(&text) > 0)
            buf_add(&text, STR("\n\n"));
        buf_add(&text, one);
    }
    return buf_str(&text);
}
