/*
 * Turns schemas into operations: one table of keywords, a function for each
 * shape of value. The order of the table is the order of the checks.
 */
#include "base/json_schema_parts.h"

enum drafts { DRAFT_7 = 1, DRAFT_2020 = 2, DRAFT_ALL = 3 };

struct keyword {
    struct str name;
    enum drafts drafts;
    enum vocabulary vocabulary;
    enum holds holds;
    enum op_kind kind;
    /* 1 when *op is to be done, 0 when there is nothing to do. NULL: the keyword belongs to another. */
    int (*compile)(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op);
};

static int wrong(struct compiler *c, const struct keyword *k, const char *wanted)
{
    return schema_fail(c, "'" STR_FMT "' must be %s", STR_ARG(k->name), wanted);
}

/* The schema at a node of the same document, to be compiled. */
static int child(struct compiler *c, struct schema *parent, const struct json *node, struct schema **schema)
{
    struct schema *s = node != NULL ? schema_at(parent->resource->document, node) : NULL;

    if (s == NULL)
        return schema_fail(c, "A schema must be an object or a boolean");
    if (!s->is_queued) {
        s->is_queued = true;
        schema_queue_add(&c->to_compile, s);
    }
    *schema = s;
    return 1;
}

/* child() of another keyword of the same schema; NULL without it. */
static int sibling(struct compiler *c, struct schema *s, struct str name, struct schema **schema)
{
    const struct json *node = json_get(s->json, name);

    *schema = NULL;
    return node != NULL ? child(c, s, node, schema) : 0;
}

static int reference(struct compiler *c, struct schema *s, struct str text, struct schema **found)
{
    if (schema_find(c, s->resource, text, found) < 0)
        return -EINVAL;
    if (!(*found)->is_queued) {
        (*found)->is_queued = true;
        schema_queue_add(&c->to_compile, *found);
    }
    return 1;
}

/* ---- One function for each shape of value ---- */

static int compile_ref(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    if (!json_is(op->source, JSON_STRING))
        return wrong(c, k, "a string");
    return reference(c, s, json_text(op->source), &op->schema);
}

static int compile_dynamic_ref(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    struct op_dynamic *dynamic = arena_zalloc(c->arena, sizeof(*dynamic));
    struct str fragment = json_text(op->source);

    if (!json_is(op->source, JSON_STRING))
        return wrong(c, k, "a string");
    op->dynamic = dynamic;
    if (reference(c, s, fragment, &dynamic->schema) < 0)
        return -EINVAL;
    (void)str_cut(&fragment, '#');
    /* Only where the static target has the dynamic anchor itself may others take its place. */
    if (str_eq(json_get_text(dynamic->schema->json, STR("$dynamicAnchor")), fragment) && fragment.n > 0)
        dynamic->name = fragment;
    c->has_dynamic_ref = true;
    return 1;
}

static unsigned type_bit(struct str name)
{
    static const struct {
        struct str name;
        unsigned bit;
    } types[] = {
        {STR_INIT("null"), 1u << JSON_NULL},        {STR_INIT("boolean"), 1u << JSON_BOOL},
        {STR_INIT("number"), 1u << JSON_NUMBER},    {STR_INIT("string"), 1u << JSON_STRING},
        {STR_INIT("array"), 1u << JSON_ARRAY},      {STR_INIT("object"), 1u << JSON_OBJECT},
        {STR_INIT("integer"), SCHEMA_TYPE_INTEGER},
    };

    for (size_t i = 0; i < nelem(types); i++) {
        if (str_eq(name, types[i].name))
            return types[i].bit;
    }
    return 0;
}

static int compile_type(struct compiler *c, struct schema *s UNUSED, const struct keyword *k, struct op *op)
{
    const struct json *value = op->source;

    op->types = type_bit(json_text(value));
    if (json_is(value, JSON_STRING))
        return op->types != 0
                   ? 1
                   : schema_fail(c, "Unknown type " STR_FMT, STR_ARG(schema_repr(c->arena, value)));
    if (!json_is(value, JSON_ARRAY))
        return wrong(c, k, "a string or an array of strings");
    json_each (item, value) {
        if (type_bit(json_text(item)) == 0)
            return schema_fail(c, "Unknown type " STR_FMT, STR_ARG(schema_repr(c->arena, item)));
        op->types |= type_bit(json_text(item));
    }
    return 1;
}

static int compile_value(struct compiler *c UNUSED, struct schema *s UNUSED, const struct keyword *k UNUSED,
                         struct op *op)
{
    op->value = op->source;
    return 1;
}

static int compile_enum(struct compiler *c, struct schema *s UNUSED, const struct keyword *k, struct op *op)
{
    op->value = op->source;
    return json_is(op->source, JSON_ARRAY) ? 1 : wrong(c, k, "an array");
}

static int compile_number(struct compiler *c, struct schema *s UNUSED, const struct keyword *k, struct op *op)
{
    struct op_number *number = arena_alloc(c->arena, sizeof(*number));

    if (!json_is(op->source, JSON_NUMBER))
        return wrong(c, k, "a number");
    number->value = op->source;
    json_decimal_read(&number->decimal, json_raw(op->source));
    op->number = number;
    return 1;
}

static int compile_divisor(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    enum { DIGITS_MAX = 18 }; /* so that remainders fit 64 bits */

    if (compile_number(c, s, k, op) < 0)
        return -EINVAL;
    if (op->number->decimal.is_negative || op->number->decimal.count == 0)
        return wrong(c, k, "a number above 0");
    if (op->number->decimal.count > DIGITS_MAX)
        return wrong(c, k, "a number of at most 18 digits");
    return 1;
}

/* A whole number that is not negative; what is too large for us never limits. */
static int limit_read(struct compiler *c, const struct keyword *k, const struct json *value, int64_t *limit)
{
    int rc = json_i64(value, limit);

    if (rc == -ERANGE && json_raw(value).p[0] != '-') {
        *limit = INT64_MAX;
        rc = 0;
    }
    return rc == 0 && *limit >= 0 ? 1 : wrong(c, k, "a non-negative integer");
}

static int compile_limit(struct compiler *c, struct schema *s UNUSED, const struct keyword *k, struct op *op)
{
    return limit_read(c, k, op->source, &op->limit);
}

static int pattern_read(struct compiler *c, struct str text, struct op_pattern *pattern)
{
    enum { PATTERN_WEIGHT = 64 };
    struct str reason;

    c->pattern_bytes += PATTERN_WEIGHT + text.n;
    if (c->pattern_bytes > SCHEMA_PATTERN_BYTES_MAX)
        return schema_fail(c, "The schema has too many patterns");
    pattern->text = text;
    if (regex_compile(c->arena, text, 0, &pattern->regex, &reason) < 0)
        return schema_fail(c, STR_FMT " is not a 'regex': " STR_FMT,
                           STR_ARG(schema_repr_text(c->arena, text)), STR_ARG(reason));
    return 1;
}

static int compile_pattern(struct compiler *c, struct schema *s UNUSED, const struct keyword *k,
                           struct op *op)
{
    struct op_pattern *pattern = arena_zalloc(c->arena, sizeof(*pattern));

    if (!json_is(op->source, JSON_STRING))
        return wrong(c, k, "a string");
    op->pattern = pattern;
    return pattern_read(c, json_text(op->source), pattern);
}

static int compile_format(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    if (!json_is(op->source, JSON_STRING))
        return wrong(c, k, "a string");
    if (!c->options->assert_format && (s->resource->dialect.vocabularies & VOCABULARY_FORMAT_ASSERTION) == 0)
        return 0;
    op->format = schema_format(json_text(op->source));
    return op->format != NULL;
}

static int compile_unique(struct compiler *c, struct schema *s UNUSED, const struct keyword *k, struct op *op)
{
    return json_is(op->source, JSON_BOOL) ? json_bool(op->source) : wrong(c, k, "a boolean");
}

static bool is_names(const struct json *v)
{
    if (!json_is(v, JSON_ARRAY))
        return false;
    json_each (item, v) {
        if (!json_is(item, JSON_STRING))
            return false;
    }
    return true;
}

static int compile_names(struct compiler *c, struct schema *s UNUSED, const struct keyword *k, struct op *op)
{
    op->value = op->source;
    return is_names(op->source) ? 1 : wrong(c, k, "an array of strings");
}

static int compile_one(struct compiler *c, struct schema *s, const struct keyword *k UNUSED, struct op *op)
{
    return child(c, s, op->source, &op->schema);
}

static int compile_unevaluated(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    s->collects = true;
    return compile_one(c, s, k, op);
}

static int schemas_read(struct compiler *c, struct schema *s, const struct json *list,
                        struct op_schemas *schemas)
{
    schemas->of = arena_alloc(c->arena, json_count(list) * sizeof(struct schema *));
    json_each (item, list) {
        if (child(c, s, item, &schemas->of[schemas->count++]) < 0)
            return -EINVAL;
    }
    return 1;
}

static int compile_list(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    struct op_schemas *schemas = arena_zalloc(c->arena, sizeof(*schemas));

    if (json_count(op->source) == 0 || !json_is(op->source, JSON_ARRAY))
        return wrong(c, k, "a non-empty array");
    op->schemas = schemas;
    return schemas_read(c, s, op->source, schemas);
}

static int compile_if(struct compiler *c, struct schema *s, const struct keyword *k UNUSED, struct op *op)
{
    struct op_condition *condition = arena_zalloc(c->arena, sizeof(*condition));

    op->condition = condition;
    if (child(c, s, op->source, &condition->condition) < 0 ||
        sibling(c, s, STR("then"), &condition->then) < 0 ||
        sibling(c, s, STR("else"), &condition->otherwise) < 0)
        return -EINVAL;
    return 1;
}

/* ---- Objects ---- */

static int property_compare(const void *left, const void *right)
{
    const struct op_property *l = left, *r = right;
    int order = str_cmp(l->name, r->name);

    /* Of equal names the last comes first and is found. */
    return order != 0 ? order : l->name.p < r->name.p ? 1 : -1;
}

static int properties_read(struct compiler *c, struct schema *s, const struct json *map,
                           struct op_members *members)
{
    size_t n = 0;

    members->properties = arena_alloc(c->arena, json_count(map) * sizeof(*members->properties));
    json_each_member (m, map) {
        struct op_property *property = &members->properties[n++];

        property->name = json_text(json_key(m));
        if (child(c, s, json_value(m), &property->schema) < 0)
            return -EINVAL;
    }
    qsort(members->properties, n, sizeof(*members->properties), property_compare);
    for (size_t i = 0; i < n; i++) {
        struct op_property *last = members->properties + members->properties_count;

        if (i == 0 || !str_eq(members->properties[i].name, last[-1].name)) {
            *last = members->properties[i];
            members->properties_count++;
        }
    }
    return 0;
}

static int patterns_read(struct compiler *c, struct schema *s, const struct json *map,
                         struct op_members *members)
{
    members->patterns = arena_zalloc(c->arena, json_count(map) * sizeof(*members->patterns));
    json_each_member (m, map) {
        struct op_pattern *pattern = &members->patterns[members->patterns_count++];

        if (pattern_read(c, json_text(json_key(m)), pattern) < 0 ||
            child(c, s, json_value(m), &pattern->schema) < 0)
            return -EINVAL;
    }
    return 0;
}

/* properties, patternProperties and additionalProperties look at each member together. */
static int compile_members(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    const struct json *properties = json_get(s->json, STR("properties"));
    const struct json *patterns = json_get(s->json, STR("patternProperties"));
    struct op_members *members;

    if (s->ops_count > 0 && s->ops[s->ops_count - 1].kind == OP_MEMBERS)
        return 0; /* done for the first of them */
    if ((properties != NULL && !json_is(properties, JSON_OBJECT)) ||
        (patterns != NULL && !json_is(patterns, JSON_OBJECT)))
        return wrong(c, k, "an object");
    members = arena_zalloc(c->arena, sizeof(*members));
    op->members = members;
    if (properties_read(c, s, properties, members) < 0 || patterns_read(c, s, patterns, members) < 0 ||
        sibling(c, s, STR("additionalProperties"), &members->additional) < 0)
        return -EINVAL;
    return 1;
}

/* dependentRequired, dependentSchemas and draft 7's dependencies, which is both. */
static int compile_dependencies(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    struct op_dependencies *dependencies = arena_zalloc(c->arena, sizeof(*dependencies));

    if (!json_is(op->source, JSON_OBJECT))
        return wrong(c, k, "an object");
    op->dependencies = dependencies;
    dependencies->of = arena_zalloc(c->arena, json_count(op->source) * sizeof(*dependencies->of));
    json_each_member (m, op->source) {
        struct op_dependency *d = &dependencies->of[dependencies->count++];
        const struct json *value = json_value(m);

        d->name = json_text(json_key(m));
        if (k->holds == HOLDS_NONE || json_is(value, JSON_ARRAY)) {
            if (!is_names(value))
                return wrong(c, k, "an object of arrays of strings");
            d->names = value;
        } else if (child(c, s, value, &d->schema) < 0) {
            return -EINVAL;
        }
    }
    return 1;
}

/* ---- Arrays ---- */

/* 2020-12: prefixItems, and items behind them. */
static int compile_items(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    const struct json *prefix = json_get(s->json, STR("prefixItems"));
    struct op_items *items;

    if (s->ops_count > 0 && s->ops[s->ops_count - 1].kind == OP_ITEMS)
        return 0;
    if (prefix != NULL && !json_is(prefix, JSON_ARRAY))
        return wrong(c, k, "an array");
    items = arena_zalloc(c->arena, sizeof(*items));
    op->items = items;
    if (schemas_read(c, s, prefix, &items->prefix) < 0 || sibling(c, s, STR("items"), &items->rest) < 0)
        return -EINVAL;
    return 1;
}

/* Draft 7: items for all, or a list of them with additionalItems behind it. */
static int compile_items_7(struct compiler *c, struct schema *s, const struct keyword *k UNUSED,
                           struct op *op)
{
    struct op_items *items = arena_zalloc(c->arena, sizeof(*items));

    op->items = items;
    if (!json_is(op->source, JSON_ARRAY))
        return child(c, s, op->source, &items->rest);
    if (schemas_read(c, s, op->source, &items->prefix) < 0 ||
        sibling(c, s, STR("additionalItems"), &items->rest) < 0)
        return -EINVAL;
    return 1;
}

static int compile_contains(struct compiler *c, struct schema *s, const struct keyword *k, struct op *op)
{
    const struct json *min = json_get(s->json, STR("minContains")),
                      *max = json_get(s->json, STR("maxContains"));
    struct op_contains *contains = arena_zalloc(c->arena, sizeof(*contains));

    contains->min = 1;
    contains->max = INT64_MAX;
    if (!s->resource->dialect.is_draft7) {
        contains->marks = true;
        if ((min != NULL && limit_read(c, k, min, &contains->min) < 0) ||
            (max != NULL && limit_read(c, k, max, &contains->max) < 0))
            return schema_fail(c, "'minContains' and 'maxContains' must be non-negative integers");
    }
    op->contains = contains;
    return child(c, s, op->source, &contains->schema);
}

/* ---- The table ---- */

#define KEYWORD(keyword_name, drafts_, vocabulary_, holds_, kind_, compile_)                                 \
    {                                                                                                        \
        STR_INIT(keyword_name), DRAFT_##drafts_, VOCABULARY_##vocabulary_, HOLDS_##holds_, kind_, compile_   \
    }

static const struct keyword keywords[] = {
    KEYWORD("$ref", ALL, CORE, NONE, OP_REF, compile_ref),
    KEYWORD("$defs", 2020, CORE, MAP, 0, NULL),
    KEYWORD("definitions", ALL, CORE, MAP, 0, NULL),
    KEYWORD("$dynamicRef", 2020, CORE, NONE, OP_DYNAMIC_REF, compile_dynamic_ref),
    KEYWORD("type", ALL, VALIDATION, NONE, OP_TYPE, compile_type),
    KEYWORD("enum", ALL, VALIDATION, NONE, OP_ENUM, compile_enum),
    KEYWORD("const", ALL, VALIDATION, NONE, OP_CONST, compile_value),
    KEYWORD("minimum", ALL, VALIDATION, NONE, OP_MINIMUM, compile_number),
    KEYWORD("maximum", ALL, VALIDATION, NONE, OP_MAXIMUM, compile_number),
    KEYWORD("exclusiveMinimum", ALL, VALIDATION, NONE, OP_EXCLUSIVE_MINIMUM, compile_number),
    KEYWORD("exclusiveMaximum", ALL, VALIDATION, NONE, OP_EXCLUSIVE_MAXIMUM, compile_number),
    KEYWORD("multipleOf", ALL, VALIDATION, NONE, OP_MULTIPLE_OF, compile_divisor),
    KEYWORD("minLength", ALL, VALIDATION, NONE, OP_MIN_LENGTH, compile_limit),
    KEYWORD("maxLength", ALL, VALIDATION, NONE, OP_MAX_LENGTH, compile_limit),
    KEYWORD("pattern", ALL, VALIDATION, NONE, OP_PATTERN, compile_pattern),
    KEYWORD("format", ALL, FORMAT, NONE, OP_FORMAT, compile_format),
    KEYWORD("minItems", ALL, VALIDATION, NONE, OP_MIN_ITEMS, compile_limit),
    KEYWORD("maxItems", ALL, VALIDATION, NONE, OP_MAX_ITEMS, compile_limit),
    KEYWORD("uniqueItems", ALL, VALIDATION, NONE, OP_UNIQUE_ITEMS, compile_unique),
    KEYWORD("minProperties", ALL, VALIDATION, NONE, OP_MIN_PROPERTIES, compile_limit),
    KEYWORD("maxProperties", ALL, VALIDATION, NONE, OP_MAX_PROPERTIES, compile_limit),
    KEYWORD("required", ALL, VALIDATION, NONE, OP_REQUIRED, compile_names),
    KEYWORD("dependentRequired", 2020, VALIDATION, NONE, OP_DEPENDENCIES, compile_dependencies),
    KEYWORD("dependentSchemas", 2020, APPLICATOR, MAP, OP_DEPENDENCIES, compile_dependencies),
    KEYWORD("dependencies", 7, APPLICATOR, MAP, OP_DEPENDENCIES, compile_dependencies),
    KEYWORD("propertyNames", ALL, APPLICATOR, ONE, OP_PROPERTY_NAMES, compile_one),
    KEYWORD("properties", ALL, APPLICATOR, MAP, OP_MEMBERS, compile_members),
    KEYWORD("patternProperties", ALL, APPLICATOR, MAP, OP_MEMBERS, compile_members),
    KEYWORD("additionalProperties", ALL, APPLICATOR, ONE, OP_MEMBERS, compile_members),
    KEYWORD("prefixItems", 2020, APPLICATOR, LIST, OP_ITEMS, compile_items),
    KEYWORD("items", 2020, APPLICATOR, ONE, OP_ITEMS, compile_items),
    KEYWORD("items", 7, APPLICATOR, ONE_OR_LIST, OP_ITEMS, compile_items_7),
    KEYWORD("additionalItems", 7, APPLICATOR, ONE, 0, NULL),
    KEYWORD("contains", ALL, APPLICATOR, ONE, OP_CONTAINS, compile_contains),
    KEYWORD("allOf", ALL, APPLICATOR, LIST, OP_ALL_OF, compile_list),
    KEYWORD("anyOf", ALL, APPLICATOR, LIST, OP_ANY_OF, compile_list),
    KEYWORD("oneOf", ALL, APPLICATOR, LIST, OP_ONE_OF, compile_list),
    KEYWORD("not", ALL, APPLICATOR, ONE, OP_NOT, compile_one),
    KEYWORD("if", ALL, APPLICATOR, ONE, OP_IF, compile_if),
    KEYWORD("then", ALL, APPLICATOR, ONE, 0, NULL),
    KEYWORD("else", ALL, APPLICATOR, ONE, 0, NULL),
    /* These look at what the others evaluated. */
    KEYWORD("unevaluatedItems", 2020, UNEVALUATED, ONE, OP_UNEVALUATED_ITEMS, compile_unevaluated),
    KEYWORD("unevaluatedProperties", 2020, UNEVALUATED, ONE, OP_UNEVALUATED_PROPERTIES, compile_unevaluated),
};

static bool is_known(const struct keyword *k, const struct dialect *d)
{
    return (k->drafts & (d->is_draft7 ? DRAFT_7 : DRAFT_2020)) != 0 && (k->vocabulary & d->vocabularies) != 0;
}

bool schema_keyword(size_t n, const struct dialect *dialect, struct holder *keyword)
{
    if (n >= nelem(keywords))
        return false;
    keyword->name = keywords[n].name;
    keyword->holds = is_known(&keywords[n], dialect) ? keywords[n].holds : HOLDS_NONE;
    return true;
}

/* ---- Compiling ---- */

static int keyword_compile(struct compiler *c, struct schema *s, const struct keyword *k)
{
    struct op op = {.kind = k->kind, .source = json_get(s->json, k->name)};
    int rc;

    if (op.source == NULL)
        return 0;
    rc = k->compile(c, s, k, &op);
    if (rc > 0)
        s->ops[s->ops_count++] = op;
    return rc < 0 ? rc : 0;
}

/* The operations behind the last one are room for those to come. */
static int schema_compile(struct compiler *c, struct schema *s)
{
    const struct dialect *dialect = &s->resource->dialect;
    bool is_ref_only = dialect->is_draft7 && json_get(s->json, STR("$ref")) != NULL;
    struct op ops[nelem(keywords)];

    if (json_is(s->json, JSON_BOOL)) {
        s->ops = arena_zalloc(c->arena, sizeof(*s->ops));
        s->ops_count = !json_bool(s->json);
        s->ops[0].kind = OP_FALSE;
        return 0;
    }
    if (schema_charge(c, 16 + json_count(s->json)) < 0)
        return -EINVAL;
    s->ops = ops;
    for (size_t i = 0; i < nelem(keywords); i++) {
        if (keywords[i].compile == NULL || !is_known(&keywords[i], dialect))
            continue;
        if (keyword_compile(c, s, &keywords[i]) < 0)
            return -EINVAL;
        if (is_ref_only)
            break; /* "$ref" is the first */
    }
    s->ops = arena_alloc(c->arena, s->ops_count * sizeof(*s->ops));
    memcpy(s->ops, ops, s->ops_count * sizeof(*s->ops));
    return 0;
}

/* Which dynamic anchors will be met is known only in a validation, so all of them are compiled. */
static void anchors_queue(struct compiler *c)
{
    for (size_t i = 0; c->has_dynamic_ref && i < c->resources_count; i++) {
        for (struct dynamic_anchor *d = c->resources[i]->anchors; d != NULL; d = d->next) {
            if (!d->schema->is_queued) {
                d->schema->is_queued = true;
                schema_queue_add(&c->to_compile, d->schema);
            }
        }
    }
}

static int compile_all(struct compiler *c, const struct json *json, struct schema **root)
{
    struct schema *s;

    if (schema_index_root(c, json, root) < 0)
        return -EINVAL;
    (*root)->is_queued = true;
    schema_queue_add(&c->to_compile, *root);
    while (c->to_compile.first != NULL) {
        while ((s = schema_queue_take(&c->to_compile)) != NULL) {
            if (schema_compile(c, s) < 0)
                return -EINVAL;
        }
        anchors_queue(c);
    }
    return 0;
}

int json_schema_compile(struct arena *a, const struct json *schema, const struct json_schema_options *options,
                        struct json_schema **compiled, struct str *reason)
{
    struct compiler c = {.arena = a, .options = options, .reason = reason};
    int rc;

    schema_queue_init(&c.to_index);
    schema_queue_init(&c.to_compile);
    *compiled = arena_zalloc(a, sizeof(**compiled));
    rc = compile_all(&c, schema, &(*compiled)->root);
    schema_index_fini(&c);
    return rc;
}
