#include "workers/llm_tools.h"

#include "base/rand.h"

void llm_tools_init(struct llm_tools *t)
{
    *t = (struct llm_tools){0};
}

void llm_tools_fini(struct llm_tools *t)
{
    for (size_t i = 0; i < t->count; i++) {
        buf_fini(&t->items[i].id);
        buf_fini(&t->items[i].name);
        buf_fini(&t->items[i].arguments);
    }
    free(t->items);
    *t = (struct llm_tools){0};
}

static struct llm_tool *tool_by_id(const struct llm_tools *t, struct str id)
{
    for (size_t i = t->count; i-- > 0;) {
        if (str_eq(buf_str(&t->items[i].id), id))
            return &t->items[i];
    }
    return NULL;
}

static struct llm_tool *tool_by_index(const struct llm_tools *t, int64_t index)
{
    for (size_t i = t->count; i-- > 0;) {
        if (t->items[i].index == index)
            return &t->items[i];
    }
    return NULL;
}

/* Some vendors number every call 0: another id with a name of its own is another call. */
static bool tool_is_other(const struct llm_tool *tool, const struct llm_tool_part *part)
{
    return buf_size(&tool->id) > 0 && part->id.n > 0 && part->name.n > 0 &&
           !str_eq(buf_str(&tool->id), part->id);
}

/* The call that a fragment belongs to: by index, else by id, else the latest unless it names a new one. */
static struct llm_tool *tool_find(const struct llm_tools *t, const struct llm_tool_part *part)
{
    struct llm_tool *tool;

    if (part->is_whole)
        return NULL;
    if (part->index >= 0) {
        tool = tool_by_index(t, part->index);
        return tool != NULL && !tool_is_other(tool, part) ? tool : NULL;
    }
    if (part->id.n > 0)
        return tool_by_id(t, part->id);
    return part->name.n == 0 && t->count > 0 ? &t->items[t->count - 1] : NULL;
}

static struct llm_tool *tool_append(struct llm_tools *t, int64_t index)
{
    struct llm_tool *tool;

    if (t->count == LLM_TOOLS_MAX)
        return NULL;
    t->items = mem_realloc(t->items, (t->count + 1) * sizeof(*t->items));
    tool = &t->items[t->count++];
    *tool = (struct llm_tool){.index = index};
    buf_init(&tool->id);
    buf_init(&tool->name);
    buf_init(&tool->arguments);
    return tool;
}

static void tool_set(struct buf *field, struct str value)
{
    if (value.n == 0)
        return;
    buf_consume(field, buf_size(field));
    buf_add(field, value);
}

/* Ids are unique within an answer: results refer to them. */
static bool tool_id_is_usable(const struct llm_tools *t, const struct llm_tool *tool)
{
    for (const struct llm_tool *other = t->items; other < t->items + t->count; other++) {
        if (other != tool && other->is_announced && str_eq(buf_str(&other->id), buf_str(&tool->id)))
            return false;
    }
    return buf_size(&tool->id) > 0;
}

static void tool_id_make(struct llm_tool *tool)
{
    unsigned char random[12];

    rand_bytes(random, sizeof(random));
    buf_consume(&tool->id, buf_size(&tool->id));
    buf_add(&tool->id, STR("call_"));
    for (size_t i = 0; i < sizeof(random); i++)
        buf_addf(&tool->id, "%02x", random[i]);
}

static void tool_write_whole(struct json_writer *w, const struct llm_tool *tool, bool with_index)
{
    json_object_begin(w);
    if (with_index)
        json_field_i64(w, STR("index"), tool->number);
    json_field_str(w, STR("id"), buf_str(&tool->id));
    json_field_str(w, STR("type"), STR("function"));
    json_key_write(w, STR("function"));
    json_object_begin(w);
    json_field_str(w, STR("name"), buf_str(&tool->name));
    json_field_str(w, STR("arguments"), buf_str(&tool->arguments));
    json_object_end(w);
    json_object_end(w);
}

static void tool_write_more(struct json_writer *w, const struct llm_tool *tool, struct str arguments)
{
    json_object_begin(w);
    json_field_i64(w, STR("index"), tool->number);
    json_field_str(w, STR("type"), STR("function"));
    json_key_write(w, STR("function"));
    json_object_begin(w);
    json_field_str(w, STR("arguments"), arguments);
    json_object_end(w);
    json_object_end(w);
}

static int tool_tell(struct llm_tools *t, struct llm_tool *tool, struct str arguments, struct buf *delta)
{
    struct json_writer w;

    if (buf_size(&tool->name) == 0 || (tool->is_announced && arguments.n == 0))
        return 0;
    json_write_init(&w, delta);
    if (tool->is_announced) {
        tool_write_more(&w, tool, arguments);
        return 1;
    }
    if (!tool_id_is_usable(t, tool))
        tool_id_make(tool);
    tool->number = t->announced++;
    tool->is_announced = true;
    tool_write_whole(&w, tool, true);
    return 1;
}

int llm_tools_add(struct llm_tools *t, const struct llm_tool_part *part, struct buf *delta)
{
    struct llm_tool *tool = tool_find(t, part);

    t->arguments_bytes += part->arguments.n;
    if (t->arguments_bytes > LLM_TOOLS_BYTES_MAX || part->id.n > LLM_TOOL_NAME_MAX ||
        part->name.n > LLM_TOOL_NAME_MAX)
        return -EMSGSIZE;
    if (tool == NULL)
        tool = tool_append(t, part->index);
    if (tool == NULL)
        return -EMSGSIZE;
    if (!tool->is_announced) {
        tool_set(&tool->id, part->id);
        tool_set(&tool->name, part->name);
    }
    buf_add(&tool->arguments, part->arguments);
    return tool_tell(t, tool, part->arguments, delta);
}

int llm_tools_has_arguments(const struct llm_tools *t, int64_t index)
{
    const struct llm_tool *tool = tool_by_index(t, index);

    return tool != NULL ? buf_size(&tool->arguments) > 0 : -ENOENT;
}

static const struct llm_tool *tool_by_number(const struct llm_tools *t, uint32_t number)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->items[i].is_announced && t->items[i].number == number)
            return &t->items[i];
    }
    return NULL;
}

size_t llm_tools_write(const struct llm_tools *t, struct buf *out)
{
    struct json_writer w;

    json_write_init(&w, out);
    json_array_begin(&w);
    for (uint32_t number = 0; number < t->announced; number++)
        tool_write_whole(&w, tool_by_number(t, number), false);
    json_array_end(&w);
    return t->announced;
}
