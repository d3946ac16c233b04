/*
 * Runs compiled schemas. A schema that is being applied to a value is a frame
 * on a heap stack; an operation that needs another schema's verdict pushes a
 * frame and is called again with the verdict, so schemas that refer to each
 * other in circles cost no machine stack and meet a limit.
 *
 * Operations return DONE, FAILED or WAIT (for the frame they pushed, or to be
 * called again). What they remember in between is in the frame: step, index,
 * matched, item; all zero at the first call.
 *
 * A frame is quiet when its failure is not yet the value's failure (below
 * anyOf, not, …). The first failure of a frame that is not quiet ends it all.
 */
#include "base/json_schema_run.h"

/* ---- Errors ---- */

static struct str path_of(struct validation *v)
{
    struct buf path;

    buf_init_arena(&path, v->arena);
    for (size_t i = 0; i < v->depth; i++) {
        struct frame *f = &v->frames[i];
        struct str name = f->way == WAY_MEMBER ? json_text(f->name) : STR("");

        if (f->way == WAY_ELEMENT)
            buf_addf(&path, "/%zu", f->place);
        if (f->way == WAY_MEMBER)
            buf_add_byte(&path, '/');
        for (size_t j = 0; j < name.n; j++) {
            if (name.p[j] == '~' || name.p[j] == '/')
                buf_add(&path, name.p[j] == '~' ? STR("~0") : STR("~1"));
            else
                buf_add_byte(&path, name.p[j]);
        }
    }
    return buf_str(&path);
}

int schema_fail_frame(struct validation *v, const struct frame *f, const char *format, ...)
{
    va_list args;

    if (f->is_quiet)
        return FAILED;
    va_start(args, format);
    v->error->message = arena_vstrf(v->arena, format, args);
    va_end(args);
    v->error->path = path_of(v);
    return FAILED;
}

int schema_fail_value(struct validation *v, const struct frame *f, const char *text)
{
    if (f->is_quiet)
        return FAILED;
    return schema_fail_frame(v, f, STR_FMT " %s", STR_ARG(schema_repr(v->arena, f->value)), text);
}

int schema_fail_against(struct validation *v, const struct frame *f, const char *text,
                        const struct json *wanted)
{
    if (f->is_quiet)
        return FAILED;
    return schema_fail_frame(v, f, STR_FMT " %s " STR_FMT, STR_ARG(schema_repr(v->arena, f->value)), text,
                             STR_ARG(schema_repr(v->arena, wanted)));
}

/* ---- Frames ---- */

enum call { CALL_QUIET = 1, CALL_MERGE = 2 };

/* f must not be used afterwards: the stack may have moved. */
static struct frame *push(struct validation *v, const struct schema *schema, const struct json *value)
{
    if (v->depth == v->capacity) {
        v->capacity = v->capacity != 0 ? v->capacity * 2 : 16;
        v->frames = mem_realloc(v->frames, v->capacity * sizeof(*v->frames));
    }
    v->frames[v->depth] = (struct frame){.schema = schema, .value = value, .collects = schema->collects};
    return &v->frames[v->depth++];
}

/* Whether the verdict is known without a frame. */
static bool is_trivial(struct frame *f, const struct schema *schema)
{
    f->verdict = true;
    return schema->ops_count == 0;
}

static int call(struct validation *v, struct frame *f, const struct schema *schema, unsigned how)
{
    bool is_quiet = f->is_quiet || (how & CALL_QUIET) != 0, collects = f->collects && (how & CALL_MERGE) != 0;
    struct frame *called;

    if (is_trivial(f, schema))
        return WAIT;
    called = push(v, schema, f->value);
    called->is_quiet = is_quiet;
    called->merges = collects;
    called->collects |= collects;
    return WAIT;
}

static int call_member(struct validation *v, struct frame *f, const struct schema *schema,
                       const struct json *member)
{
    bool is_quiet = f->is_quiet;
    struct frame *called;

    if (is_trivial(f, schema))
        return WAIT;
    called = push(v, schema, json_value(member));
    called->is_quiet = is_quiet;
    called->way = WAY_MEMBER;
    called->name = member;
    return WAIT;
}

static int call_element(struct validation *v, struct frame *f, const struct schema *schema, bool is_quiet)
{
    const struct json *element = f->item;
    size_t index = f->index;
    struct frame *called;

    is_quiet |= f->is_quiet;
    if (is_trivial(f, schema))
        return WAIT;
    called = push(v, schema, element);
    called->is_quiet = is_quiet;
    called->way = WAY_ELEMENT;
    called->place = index;
    return WAIT;
}

static size_t evaluated_words(const struct frame *f)
{
    return (json_count(f->value) + 63) / 64;
}

static void mark(struct validation *v, struct frame *f, size_t index)
{
    if (!f->collects)
        return;
    if (f->evaluated == NULL) {
        v->steps += evaluated_words(f) / 64;
        f->evaluated = mem_zalloc(evaluated_words(f) * sizeof(*f->evaluated));
    }
    f->evaluated[index / 64] |= UINT64_C(1) << index % 64;
}

static bool is_marked(const struct frame *f, size_t index)
{
    return f->evaluated != NULL && (f->evaluated[index / 64] >> index % 64 & 1) != 0;
}

static void merge(struct validation *v, struct frame *to, struct frame *from)
{
    uint64_t *taken = from->evaluated;

    from->evaluated = NULL;
    if (to->evaluated == NULL) {
        to->evaluated = taken;
        return;
    }
    v->steps += evaluated_words(to) / 16;
    for (size_t i = 0; taken != NULL && i < evaluated_words(to); i++)
        to->evaluated[i] |= taken[i];
    free(taken);
}

static void pop(struct validation *v, bool verdict)
{
    struct frame *f = &v->frames[--v->depth];

    if (v->depth == 0) {
        v->verdict = verdict;
    } else {
        f[-1].verdict = verdict;
        if (verdict && f->merges)
            merge(v, &f[-1], f);
    }
    free(f->evaluated);
}

/* The first or the next item of f->value; false behind the last. */
static bool advance(struct frame *f)
{
    if (f->item == NULL) {
        f->item = json_first(f->value);
    } else {
        f->item = json_next(f->value, f->item);
        f->index++;
    }
    return f->item != NULL;
}

/* ---- Any value ---- */

static int op_false(struct validation *v, struct frame *f, const struct op *op UNUSED)
{
    if (f->is_quiet)
        return FAILED;
    return schema_fail_frame(v, f, "False schema does not allow " STR_FMT,
                             STR_ARG(schema_repr(v->arena, f->value)));
}

/* Waits for one schema that has to hold. */
static int require(struct validation *v, struct frame *f, const struct schema *schema)
{
    if (f->step++ == 0)
        return call(v, f, schema, CALL_MERGE);
    return f->verdict ? DONE : FAILED;
}

static int op_ref(struct validation *v, struct frame *f, const struct op *op)
{
    return require(v, f, op->schema);
}

static const struct schema *anchor_find(struct validation *v, const struct resource *r, struct str name)
{
    for (const struct dynamic_anchor *d = r->anchors; d != NULL; d = d->next) {
        v->steps++;
        if (str_eq(d->name, name))
            return d->schema;
    }
    return NULL;
}

/* The outermost resource on the way here that has the anchor decides. */
static int op_dynamic_ref(struct validation *v, struct frame *f, const struct op *op)
{
    const struct schema *target = NULL;

    if (f->step == 0 && !str_is_none(op->dynamic->name)) {
        for (size_t i = 0; target == NULL && i < v->depth; i++) {
            v->steps++;
            target = anchor_find(v, v->frames[i].schema->resource, op->dynamic->name);
        }
    }
    return require(v, f, target != NULL ? target : op->dynamic->schema);
}

/* ---- Objects ---- */

static const struct json *member_find(struct validation *v, const struct json *object, struct str name)
{
    v->steps += 1 + json_count(object) / 8;
    return json_get(object, name);
}

static int op_required(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_OBJECT))
        return DONE;
    json_each (name, op->value) {
        if (member_find(v, f->value, json_text(name)) == NULL) {
            if (f->is_quiet)
                return FAILED;
            return schema_fail_frame(v, f, STR_FMT " is a required property",
                                     STR_ARG(schema_repr(v->arena, name)));
        }
        if (v->steps > JSON_SCHEMA_STEPS_MAX)
            return FAILED;
    }
    return DONE;
}

static int dependency_names(struct validation *v, struct frame *f, const struct op_dependency *d)
{
    json_each (name, d->names) {
        if (member_find(v, f->value, json_text(name)) == NULL) {
            if (f->is_quiet)
                return FAILED;
            return schema_fail_frame(v, f, STR_FMT " is a dependency of " STR_FMT,
                                     STR_ARG(schema_repr(v->arena, name)),
                                     STR_ARG(schema_repr_text(v->arena, d->name)));
        }
        if (v->steps > JSON_SCHEMA_STEPS_MAX)
            return FAILED;
    }
    return DONE;
}

static int op_dependencies(struct validation *v, struct frame *f, const struct op *op)
{
    const struct op_dependencies *all = op->dependencies;

    if (!json_is(f->value, JSON_OBJECT))
        return DONE;
    if (f->step > 0 && !f->verdict)
        return FAILED;
    f->verdict = true;
    while (f->step < all->count) {
        const struct op_dependency *d = &all->of[f->step++];

        if (v->steps > JSON_SCHEMA_STEPS_MAX)
            return FAILED;
        if (member_find(v, f->value, d->name) == NULL)
            continue;
        if (d->schema != NULL)
            return call(v, f, d->schema, CALL_MERGE);
        if (dependency_names(v, f, d) == FAILED)
            return FAILED;
    }
    return DONE;
}

static int op_property_names(struct validation *v, struct frame *f, const struct op *op)
{
    bool is_quiet = f->is_quiet;
    const struct json *name;

    if (!json_is(f->value, JSON_OBJECT))
        return DONE;
    if (f->item != NULL && !f->verdict)
        return FAILED;
    if (!advance(f))
        return DONE;
    name = json_key(f->item);
    if (is_trivial(f, op->schema))
        return WAIT;
    push(v, op->schema, name)->is_quiet = is_quiet;
    return WAIT;
}

static const struct schema *property_find(const struct op_members *members, struct str name)
{
    size_t low = 0, high = members->properties_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(name, members->properties[middle].name);

        if (order == 0)
            return members->properties[middle].schema;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static int fail_additional(struct validation *v, struct frame *f, const char *kind)
{
    if (f->is_quiet)
        return FAILED;
    return schema_fail_frame(v, f, "%s properties are not allowed (" STR_FMT " was unexpected)", kind,
                             STR_ARG(schema_repr(v->arena, json_key(f->item))));
}

static bool is_false(const struct schema *s)
{
    return s->ops_count == 1 && s->ops[0].kind == OP_FALSE;
}

/* The schemas for the member f->item: step 1 its name's, then one for each pattern, last the additional one.
 */
static int member_step(struct validation *v, struct frame *f, const struct op_members *members)
{
    struct str name = json_text(json_key(f->item));
    const struct schema *schema = NULL;
    size_t step = f->step++;

    if (step == 1) {
        schema = property_find(members, name);
    } else if (step < members->patterns_count + 2) {
        const struct op_pattern *pattern = &members->patterns[step - 2];

        schema = schema_pattern_matches(v, pattern, name) ? pattern->schema : NULL;
    } else {
        f->step = 0;
        schema = f->matched == 0 ? members->additional : NULL;
        if (schema != NULL && is_false(schema))
            return fail_additional(v, f, "Additional");
    }
    if (schema == NULL)
        return WAIT;
    f->matched++;
    mark(v, f, f->index);
    return call_member(v, f, schema, f->item);
}

static int op_members(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_OBJECT))
        return DONE;
    if (f->item != NULL && !f->verdict)
        return FAILED;
    if (f->step == 0) {
        if (!advance(f))
            return DONE;
        f->step = 1;
        f->matched = 0;
    }
    f->verdict = true;
    return member_step(v, f, op->members);
}

static int op_unevaluated_properties(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_OBJECT))
        return DONE;
    if (f->item != NULL && !f->verdict)
        return FAILED;
    if (!advance(f))
        return DONE;
    f->verdict = true;
    if (is_marked(f, f->index))
        return WAIT;
    if (is_false(op->schema))
        return fail_additional(v, f, "Unevaluated");
    mark(v, f, f->index);
    return call_member(v, f, op->schema, f->item);
}

/* ---- Arrays ---- */

static int op_items(struct validation *v, struct frame *f, const struct op *op)
{
    const struct op_items *items = op->items;
    const struct schema *schema;

    if (!json_is(f->value, JSON_ARRAY))
        return DONE;
    if (f->item != NULL && !f->verdict)
        return FAILED;
    if (!advance(f))
        return DONE;
    schema = f->index < items->prefix.count ? items->prefix.of[f->index] : items->rest;
    if (schema == NULL)
        return DONE; /* and so are all that follow */
    if (schema == items->rest && is_false(schema) && items->prefix.count > 0)
        return schema_fail_frame(v, f, "Expected at most %zu items but found %zu", items->prefix.count,
                                 json_count(f->value));
    mark(v, f, f->index);
    return call_element(v, f, schema, false);
}

static int contains_end(struct validation *v, struct frame *f, const struct op_contains *contains)
{
    if ((int64_t)f->matched >= contains->min)
        return DONE;
    if (f->matched == 0)
        return schema_fail_value(v, f, "does not contain items matching the given schema");
    return schema_fail_frame(
        v, f, "Too few items match the given schema (expected at least %" PRIi64 " but only %zu matched)",
        contains->min, f->matched);
}

static int op_contains(struct validation *v, struct frame *f, const struct op *op)
{
    const struct op_contains *contains = op->contains;

    if (!json_is(f->value, JSON_ARRAY))
        return DONE;
    if (f->item != NULL && f->verdict) {
        f->matched++;
        if (contains->marks)
            mark(v, f, f->index);
    }
    if ((int64_t)f->matched > contains->max)
        return schema_fail_frame(v, f, "Too many items match the given schema (expected at most %" PRIi64 ")",
                                 contains->max);
    if (!f->collects && contains->max == INT64_MAX && (int64_t)f->matched >= contains->min)
        return DONE;
    if (!advance(f))
        return contains_end(v, f, contains);
    return call_element(v, f, contains->schema, true);
}

static int op_unevaluated_items(struct validation *v, struct frame *f, const struct op *op)
{
    if (!json_is(f->value, JSON_ARRAY))
        return DONE;
    if (f->item != NULL && !f->verdict)
        return FAILED;
    if (!advance(f))
        return DONE;
    f->verdict = true;
    if (is_marked(f, f->index))
        return WAIT;
    if (is_false(op->schema)) {
        if (f->is_quiet)
            return FAILED;
        return schema_fail_frame(v, f, "Unevaluated items are not allowed (" STR_FMT " was unexpected)",
                                 STR_ARG(schema_repr(v->arena, f->item)));
    }
    mark(v, f, f->index);
    return call_element(v, f, op->schema, false);
}

/* ---- Combinations ---- */

static int op_all_of(struct validation *v, struct frame *f, const struct op *op)
{
    if (f->step > 0 && !f->verdict)
        return FAILED;
    if (f->step == op->schemas->count)
        return DONE;
    return call(v, f, op->schemas->of[f->step++], CALL_MERGE);
}

static int op_any_of(struct validation *v, struct frame *f, const struct op *op)
{
    if (f->step > 0)
        f->matched += f->verdict;
    if (f->matched > 0 && !f->collects)
        return DONE;
    if (f->step < op->schemas->count)
        return call(v, f, op->schemas->of[f->step++], CALL_MERGE | CALL_QUIET);
    return f->matched > 0 ? DONE : schema_fail_value(v, f, "is not valid under any of the given schemas");
}

static int op_one_of(struct validation *v, struct frame *f, const struct op *op)
{
    if (f->step > 0)
        f->matched += f->verdict;
    if (f->matched > 1)
        return schema_fail_value(v, f, "is valid under more than one of the given schemas");
    if (f->step < op->schemas->count)
        return call(v, f, op->schemas->of[f->step++], CALL_MERGE | CALL_QUIET);
    return f->matched > 0 ? DONE : schema_fail_value(v, f, "is not valid under any of the given schemas");
}

static int op_not(struct validation *v, struct frame *f, const struct op *op)
{
    if (f->step++ == 0)
        return call(v, f, op->schema, CALL_QUIET);
    return f->verdict ? schema_fail_against(v, f, "should not be valid under", op->source) : DONE;
}

static int op_if(struct validation *v, struct frame *f, const struct op *op)
{
    const struct op_condition *condition = op->condition;
    const struct schema *branch;

    if (f->step == 0) {
        f->step = 1;
        return call(v, f, condition->condition, CALL_MERGE | CALL_QUIET);
    }
    if (f->step == 2)
        return f->verdict ? DONE : FAILED;
    f->step = 2;
    branch = f->verdict ? condition->then : condition->otherwise;
    return branch != NULL ? call(v, f, branch, CALL_MERGE) : DONE;
}

/* ---- The machine ---- */

static int (*const op_run[OP_KINDS])(struct validation *v, struct frame *f, const struct op *op) = {
    [OP_FALSE] = op_false,
    [OP_REF] = op_ref,
    [OP_DYNAMIC_REF] = op_dynamic_ref,
    [OP_TYPE] = schema_check_type,
    [OP_ENUM] = schema_check_enum,
    [OP_CONST] = schema_check_const,
    [OP_MINIMUM] = schema_check_minimum,
    [OP_MAXIMUM] = schema_check_maximum,
    [OP_EXCLUSIVE_MINIMUM] = schema_check_exclusive_minimum,
    [OP_EXCLUSIVE_MAXIMUM] = schema_check_exclusive_maximum,
    [OP_MULTIPLE_OF] = schema_check_multiple_of,
    [OP_MIN_LENGTH] = schema_check_min_length,
    [OP_MAX_LENGTH] = schema_check_max_length,
    [OP_PATTERN] = schema_check_pattern,
    [OP_FORMAT] = schema_check_format,
    [OP_MIN_ITEMS] = schema_check_min_items,
    [OP_MAX_ITEMS] = schema_check_max_items,
    [OP_UNIQUE_ITEMS] = schema_check_unique_items,
    [OP_MIN_PROPERTIES] = schema_check_min_properties,
    [OP_MAX_PROPERTIES] = schema_check_max_properties,
    [OP_REQUIRED] = op_required,
    [OP_DEPENDENCIES] = op_dependencies,
    [OP_PROPERTY_NAMES] = op_property_names,
    [OP_MEMBERS] = op_members,
    [OP_ITEMS] = op_items,
    [OP_CONTAINS] = op_contains,
    [OP_ALL_OF] = op_all_of,
    [OP_ANY_OF] = op_any_of,
    [OP_ONE_OF] = op_one_of,
    [OP_NOT] = op_not,
    [OP_IF] = op_if,
    [OP_UNEVALUATED_ITEMS] = op_unevaluated_items,
    [OP_UNEVALUATED_PROPERTIES] = op_unevaluated_properties,
};

static void op_next(struct frame *f)
{
    f->op++;
    f->item = NULL;
    f->step = f->index = f->matched = 0;
}

static int too_much(struct validation *v, const char *message)
{
    v->error->path = STR("");
    v->error->message = str_from(message);
    return -E2BIG;
}

static int run(struct validation *v)
{
    while (v->depth > 0) {
        struct frame *f = &v->frames[v->depth - 1];
        bool is_quiet = f->is_quiet;
        int rc = DONE;

        if (++v->steps > JSON_SCHEMA_STEPS_MAX)
            return too_much(v, "Checking the value against its schema takes too long");
        if (v->depth > SCHEMA_FRAMES_MAX)
            return too_much(v, "The schema refers to itself without end");
        if (f->op == f->schema->ops_count) {
            pop(v, true);
            continue;
        }
        rc = op_run[f->schema->ops[f->op].kind](v, f, &f->schema->ops[f->op]);
        if (v->steps > JSON_SCHEMA_STEPS_MAX)
            continue; /* it may have given up */
        if (rc == DONE)
            op_next(f);
        else if (rc == FAILED && !is_quiet)
            return -EINVAL;
        else if (rc == FAILED)
            pop(v, false);
    }
    return v->verdict ? 0 : -EINVAL;
}

int json_schema_validate(struct arena *a, const struct json_schema *s, const struct json *value,
                         struct json_schema_error *error)
{
    struct validation v = {.arena = a, .error = error};
    int rc;

    (void)push(&v, s->root, value);
    rc = run(&v);
    while (v.depth > 0)
        free(v.frames[--v.depth].evaluated);
    free(v.frames);
    return rc;
}
