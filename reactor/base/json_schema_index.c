/*
 * Finds schemas: which places of a document are schemas, under which URIs and
 * anchors they are known, and what a reference means. Documents are looked
 * through when a reference first reaches them.
 */
#include "base/json_schema_parts.h"

#include <search.h>

/* ---- Small things ---- */

int schema_fail(struct compiler *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    *c->reason = arena_vstrf(c->arena, format, args);
    va_end(args);
    return -EINVAL;
}

int schema_charge(struct compiler *c, size_t steps)
{
    c->steps += steps;
    return c->steps > SCHEMA_COMPILE_STEPS_MAX ? schema_fail(c, "The schema is too large") : 0;
}

void schema_queue_init(struct schema_queue *q)
{
    q->first = NULL;
    q->end = &q->first;
}

void schema_queue_add(struct schema_queue *q, struct schema *s)
{
    s->next = NULL;
    *q->end = s;
    q->end = &s->next;
}

struct schema *schema_queue_take(struct schema_queue *q)
{
    struct schema *s = q->first;

    if (s == NULL)
        return NULL;
    q->first = s->next;
    if (q->first == NULL)
        q->end = &q->first;
    return s;
}

/* ---- Names: URIs of resources (without an owner) and anchors of a resource ---- */

struct name {
    const struct resource *owner;
    struct str text;
    struct resource *resource; /* what a URI names */
    struct schema *schema;     /* what an anchor names */
};

static int name_compare(const void *left, const void *right)
{
    const struct name *l = left, *r = right;

    if (l->owner != r->owner)
        return (uintptr_t)l->owner < (uintptr_t)r->owner ? -1 : 1;
    return str_cmp(l->text, r->text);
}

/* The first of equal names stays. */
static void name_add(struct compiler *c, struct name name)
{
    struct name *kept = arena_alloc(c->arena, sizeof(*kept));

    *kept = name;
    if (tsearch(kept, &c->names, name_compare) == NULL)
        abort(); /* out of memory */
}

static const struct name *name_find(struct compiler *c, const struct resource *owner, struct str text)
{
    struct name wanted = {.owner = owner, .text = text};
    void *found = tfind(&wanted, &c->names, name_compare);

    return found != NULL ? *(const struct name **)found : NULL;
}

static void name_keep(void *name UNUSED) /* they are the arena's */
{
}

void schema_index_fini(struct compiler *c)
{
    tdestroy(c->names, name_keep);
}

/* ---- Dialects ---- */

static const struct {
    struct str uri;
    bool is_draft7;
} dialects[] = {
    {STR_INIT("https://json-schema.org/draft/2020-12/schema"), false},
    {STR_INIT("https://json-schema.org/draft/2019-09/schema"), false},
    {STR_INIT("http://json-schema.org/draft-07/schema"), true},
    {STR_INIT("http://json-schema.org/draft-06/schema"), true},
    {STR_INIT("http://json-schema.org/draft-04/schema"), true},
    {STR_INIT("http://json-schema.org/draft-03/schema"), true},
};

static const struct {
    struct str name;
    enum vocabulary bit;
} vocabularies[] = {
    {STR_INIT("core"), VOCABULARY_CORE},
    {STR_INIT("applicator"), VOCABULARY_APPLICATOR},
    {STR_INIT("unevaluated"), VOCABULARY_UNEVALUATED},
    {STR_INIT("validation"), VOCABULARY_VALIDATION},
    {STR_INIT("format"), VOCABULARY_FORMAT},
    {STR_INIT("format-annotation"), VOCABULARY_FORMAT},
    {STR_INIT("format-assertion"), VOCABULARY_FORMAT | VOCABULARY_FORMAT_ASSERTION},
    {STR_INIT("content"), VOCABULARY_REST},
    {STR_INIT("meta-data"), VOCABULARY_REST},
};

enum { VOCABULARY_STANDARD = 0xff & ~VOCABULARY_FORMAT_ASSERTION };

static struct str without_fragment(struct str uri)
{
    return str_cut(&uri, '#');
}

static bool dialect_standard(struct str uri, struct dialect *d)
{
    uri = without_fragment(uri);
    for (size_t i = 0; i < nelem(dialects); i++) {
        if (str_eq(uri, dialects[i].uri)) {
            *d = (struct dialect){.is_draft7 = dialects[i].is_draft7, .vocabularies = VOCABULARY_STANDARD};
            return true;
        }
    }
    return false;
}

static unsigned vocabulary_bit(struct str uri)
{
    static const struct str prefixes[] = {
        STR_INIT("https://json-schema.org/draft/2020-12/vocab/"),
        STR_INIT("https://json-schema.org/draft/2019-09/vocab/"),
    };

    for (size_t i = 0; i < nelem(prefixes); i++) {
        for (size_t j = 0; str_starts(uri, prefixes[i]) && j < nelem(vocabularies); j++) {
            if (str_eq(str_from_offset(uri, prefixes[i].n), vocabularies[j].name))
                return vocabularies[j].bit;
        }
    }
    return 0;
}

static const struct json *document_given(const struct compiler *c, struct str uri)
{
    for (size_t i = 0; i < c->options->documents_count; i++) {
        if (str_eq(c->options->documents[i].uri, uri))
            return c->options->documents[i].value;
    }
    return NULL;
}

/* The dialect that "$schema" names, of its own making too; *d stays where it is unknown. */
static int dialect_read(struct compiler *c, const struct json *root, struct dialect *d)
{
    struct str uri = json_get_text(root, STR("$schema"));
    const struct json *meta, *known;

    if (str_is_none(uri) || dialect_standard(uri, d))
        return 0;
    meta = document_given(c, without_fragment(uri));
    (void)dialect_standard(json_get_text(meta, STR("$schema")), d);
    known = json_get(meta, STR("$vocabulary"));
    if (!json_is(known, JSON_OBJECT))
        return 0;
    d->vocabularies = VOCABULARY_CORE;
    json_each_member (m, known) {
        unsigned bit = vocabulary_bit(json_text(json_key(m)));

        if (bit == 0 && json_bool(json_value(m)))
            return schema_fail(c, "Unknown vocabulary '" STR_FMT "'", STR_ARG(json_text(json_key(m))));
        d->vocabularies |= bit;
    }
    return 0;
}

/* ---- Indexing ---- */

struct schema *schema_at(struct document *d, const struct json *node)
{
    return d->places[node - d->root];
}

/* Notes that a node is a schema, to be looked through; nodes that cannot be one are left out. */
static struct schema *schema_note(struct compiler *c, struct resource *r, const struct json *node)
{
    struct schema **place = &r->document->places[node - r->document->root];

    if (*place != NULL || (!json_is(node, JSON_OBJECT) && !json_is(node, JSON_BOOL)))
        return *place;
    *place = arena_zalloc(c->arena, sizeof(**place));
    (*place)->json = node;
    (*place)->resource = r;
    schema_queue_add(&c->to_index, *place);
    return *place;
}

static struct resource *resource_new(struct compiler *c, struct document *d, struct dialect dialect)
{
    struct resource *r = arena_zalloc(c->arena, sizeof(*r));
    size_t capacity = c->resources_capacity != 0 ? c->resources_capacity * 2 : 8;

    r->document = d;
    r->dialect = dialect;
    if (c->resources_count == c->resources_capacity) {
        c->resources =
            arena_grow(c->arena, c->resources, c->resources_capacity * sizeof(r), capacity * sizeof(r));
        c->resources_capacity = capacity;
    }
    c->resources[c->resources_count++] = r;
    return r;
}

static int index_id(struct compiler *c, struct schema *s)
{
    struct str id = json_get_text(s->json, STR("$id")), uri, anchor;

    if (str_is_none(id))
        return 0;
    anchor = schema_uri_resolve(c->arena, s->resource->uri, id);
    uri = str_cut(&anchor, '#');
    if (id.n > 0 && id.p[0] != '#') {
        if (s->resource->root != s) {
            s->resource = resource_new(c, s->resource->document, s->resource->dialect);
            s->resource->root = s;
            if (dialect_read(c, s->json, &s->resource->dialect) < 0)
                return -EINVAL;
        }
        s->resource->uri = uri;
        name_add(c, (struct name){.text = uri, .resource = s->resource});
    }
    if (anchor.n > 0)
        name_add(c, (struct name){.owner = s->resource, .text = anchor, .schema = s});
    return 0;
}

static void index_anchors(struct compiler *c, struct schema *s)
{
    struct str anchor = json_get_text(s->json, STR("$anchor"));
    struct str dynamic = json_get_text(s->json, STR("$dynamicAnchor"));
    struct dynamic_anchor *noted;

    if (!str_is_none(anchor))
        name_add(c, (struct name){.owner = s->resource, .text = anchor, .schema = s});
    if (str_is_none(dynamic))
        return;
    name_add(c, (struct name){.owner = s->resource, .text = dynamic, .schema = s});
    noted = arena_alloc(c->arena, sizeof(*noted));
    *noted = (struct dynamic_anchor){.name = dynamic, .schema = s, .next = s->resource->anchors};
    s->resource->anchors = noted;
}

static void index_keyword(struct compiler *c, struct schema *s, const struct holder *keyword)
{
    const struct json *value = json_get(s->json, keyword->name);
    bool is_list = json_is(value, JSON_ARRAY);

    if (value == NULL)
        return;
    if (keyword->holds == HOLDS_ONE || (keyword->holds == HOLDS_ONE_OR_LIST && !is_list)) {
        (void)schema_note(c, s->resource, value);
    } else if (is_list && keyword->holds != HOLDS_MAP) {
        json_each (item, value)
            (void)schema_note(c, s->resource, item);
    } else if (json_is(value, JSON_OBJECT) && keyword->holds == HOLDS_MAP) {
        json_each_member (m, value)
            (void)schema_note(c, s->resource, json_value(m));
    }
}

static int index_schema(struct compiler *c, struct schema *s)
{
    struct holder keyword;

    if (!json_is(s->json, JSON_OBJECT))
        return 0;
    if (schema_charge(c, 16 + json_count(s->json)) < 0)
        return -EINVAL;
    /* In draft 7 nothing beside "$ref" counts. */
    if (!s->resource->dialect.is_draft7 || json_get(s->json, STR("$ref")) == NULL) {
        if (index_id(c, s) < 0)
            return -EINVAL;
    }
    if (!s->resource->dialect.is_draft7)
        index_anchors(c, s);
    for (size_t i = 0; schema_keyword(i, &s->resource->dialect, &keyword); i++) {
        if (keyword.holds != HOLDS_NONE)
            index_keyword(c, s, &keyword);
    }
    return 0;
}

static int index_queued(struct compiler *c)
{
    struct schema *s;

    while ((s = schema_queue_take(&c->to_index)) != NULL) {
        if (index_schema(c, s) < 0)
            return -EINVAL;
    }
    return 0;
}

static int document_index(struct compiler *c, struct str uri, const struct json *root, struct schema **schema)
{
    struct dialect dialect = {.is_draft7 = c->options->draft7, .vocabularies = VOCABULARY_STANDARD};
    struct document *d = arena_zalloc(c->arena, sizeof(*d));
    struct resource *r;

    if (c->documents != NULL) /* what the root schema is, others are that do not say */
        dialect = c->resources[0]->dialect;
    if (dialect_read(c, root, &dialect) < 0)
        return -EINVAL;
    d->uri = uri;
    d->root = root;
    d->places = arena_zalloc(c->arena, json_span(root) * sizeof(*d->places));
    d->next = c->documents;
    c->documents = d;
    r = resource_new(c, d, dialect);
    r->uri = uri;
    name_add(c, (struct name){.text = uri, .resource = r});
    r->root = schema_note(c, r, root);
    if (r->root == NULL)
        return schema_fail(c, "A schema must be an object or a boolean");
    *schema = r->root;
    return index_queued(c);
}

int schema_index_root(struct compiler *c, const struct json *root, struct schema **schema)
{
    if (root == NULL)
        return schema_fail(c, "A schema must be an object or a boolean");
    return document_index(c, STR(""), root, schema);
}

/* ---- References ---- */

static const struct json *document_built_in(struct compiler *c, struct str uri)
{
    struct str text = str_from(schema_meta_text(uri));
    const struct json *root = NULL;
    struct json_error error;

    if (!str_is_none(text) && json_parse(c->arena, text, &root, &error) < 0)
        abort(); /* our own text */
    return root;
}

static int resource_find(struct compiler *c, struct str uri, struct resource **r)
{
    const struct name *name = name_find(c, NULL, uri);
    const struct json *root;
    struct schema *ignored;

    if (name == NULL) {
        root = document_given(c, uri);
        if (root == NULL)
            root = document_built_in(c, uri);
        if (root == NULL)
            return schema_fail(c, "Unresolvable reference '" STR_FMT "'", STR_ARG(uri));
        if (document_index(c, uri, root, &ignored) < 0)
            return -EINVAL;
        name = name_find(c, NULL, uri);
    }
    *r = name->resource;
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str percent_decode(struct arena *a, struct str s)
{
    char *text = arena_bytes(a, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool is_escape =
            s.p[i] == '%' && s.n - i >= 3 && hex_value(s.p[i + 1]) >= 0 && hex_value(s.p[i + 2]) >= 0;

        text[n++] = is_escape ? (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2])) : s.p[i];
        i += is_escape ? 2 : 0;
    }
    return str_of(text, n);
}

/* A JSON pointer's token: ~1 is a slash, ~0 a tilde. */
static struct str pointer_token(struct arena *a, struct str s)
{
    char *text = arena_bytes(a, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '~' && i + 1 < s.n && (s.p[i + 1] == '0' || s.p[i + 1] == '1'))
            c = s.p[++i] == '0' ? '~' : '/';
        text[n++] = c;
    }
    return str_of(text, n);
}

static const struct json *pointer_step(const struct json *v, struct str token)
{
    int64_t index;

    if (json_is(v, JSON_OBJECT))
        return json_get(v, token);
    if (json_is(v, JSON_ARRAY) && str_to_i64(token, &index) == 0 && index >= 0)
        return json_at(v, (size_t)index);
    return NULL;
}

/* Follows a pointer from the resource's root; on its way it may enter embedded resources. */
static int pointer_find(struct compiler *c, struct resource *r, struct str pointer, struct schema **found)
{
    const struct json *v = r->root->json;
    struct str rest = str_from_offset(pointer, 1);

    while (!str_is_none(rest)) {
        struct str token = pointer_token(c->arena, str_cut(&rest, '/'));

        if (schema_charge(c, 1 + json_count(v)) < 0)
            return -EINVAL;
        v = pointer_step(v, token);
        if (v == NULL)
            return schema_fail(c, "Unresolvable JSON pointer '" STR_FMT "'", STR_ARG(pointer));
        if (schema_at(r->document, v) != NULL)
            r = schema_at(r->document, v)->resource;
    }
    *found = schema_note(c, r, v);
    if (*found == NULL)
        return schema_fail(c, "'" STR_FMT "' is not a schema", STR_ARG(pointer));
    return index_queued(c);
}

int schema_find(struct compiler *c, struct resource *from, struct str reference, struct schema **found)
{
    struct str fragment = schema_uri_resolve(c->arena, from->uri, reference);
    struct str uri = str_cut(&fragment, '#');
    const struct name *anchor;
    struct resource *r = NULL;

    if (resource_find(c, uri, &r) < 0)
        return -EINVAL;
    fragment = percent_decode(c->arena, fragment);
    if (fragment.n == 0) {
        *found = r->root;
        return 0;
    }
    if (fragment.p[0] == '/')
        return pointer_find(c, r, fragment, found);
    anchor = name_find(c, r, fragment);
    if (anchor == NULL)
        return schema_fail(c, "Unresolvable reference '" STR_FMT "'", STR_ARG(reference));
    *found = anchor->schema;
    return 0;
}
