/*
 * What the json_schema_*.c files share; for them only.
 *
 * Every place of a document that holds a schema is a struct schema, found
 * ("indexed") before anything is compiled, because $id and $anchor may be
 * anywhere. Compiling turns it into a list of operations; only what the root
 * schema can reach is compiled. Both work through queues, not by recursion.
 */
#ifndef BASE_JSON_SCHEMA_PARTS_H
#define BASE_JSON_SCHEMA_PARTS_H

#include "base/buf.h"
#include "base/json_node.h"
#include "base/json_schema.h"
#include "base/regex.h"

enum {
    SCHEMA_COMPILE_STEPS_MAX = 20000000,
    SCHEMA_PATTERN_BYTES_MAX = 128 * 1024, /* of all patterns of a schema */
    SCHEMA_FRAMES_MAX = 4096               /* schemas that wait for each other in one validation */
};

enum vocabulary {
    VOCABULARY_CORE = 1,
    VOCABULARY_APPLICATOR = 2,
    VOCABULARY_UNEVALUATED = 4,
    VOCABULARY_VALIDATION = 8,
    VOCABULARY_FORMAT = 16,
    VOCABULARY_FORMAT_ASSERTION = 32,
    VOCABULARY_REST = 64, /* content and meta-data, which assert nothing */
};

struct dialect {
    bool is_draft7;
    unsigned vocabularies; /* bits of enum vocabulary */
};

struct schema;

struct document {
    struct str uri;
    const struct json *root;
    struct schema *
        *places; /* per node slot of the root, NULL where no schema is known; NULL before indexing */
    struct document *next;
};

struct dynamic_anchor {
    struct str name;
    struct schema *schema;
    struct dynamic_anchor *next;
};

/* A schema with a URI of its own: a document's root or what has an "$id". */
struct resource {
    struct document *document;
    struct str uri; /* without fragment */
    struct schema *root;
    struct dialect dialect;
    struct dynamic_anchor *anchors;
};

enum op_kind {
    OP_FALSE,
    OP_REF,
    OP_DYNAMIC_REF,
    OP_TYPE,
    OP_ENUM,
    OP_CONST,
    OP_MINIMUM,
    OP_MAXIMUM,
    OP_EXCLUSIVE_MINIMUM,
    OP_EXCLUSIVE_MAXIMUM,
    OP_MULTIPLE_OF,
    OP_MIN_LENGTH,
    OP_MAX_LENGTH,
    OP_PATTERN,
    OP_FORMAT,
    OP_MIN_ITEMS,
    OP_MAX_ITEMS,
    OP_UNIQUE_ITEMS,
    OP_MIN_PROPERTIES,
    OP_MAX_PROPERTIES,
    OP_REQUIRED,
    OP_DEPENDENCIES,
    OP_PROPERTY_NAMES,
    OP_MEMBERS,
    OP_ITEMS,
    OP_CONTAINS,
    OP_ALL_OF,
    OP_ANY_OF,
    OP_ONE_OF,
    OP_NOT,
    OP_IF,
    OP_UNEVALUATED_ITEMS,
    OP_UNEVALUATED_PROPERTIES,
    OP_KINDS
};

enum { SCHEMA_TYPE_INTEGER = 1 << 6 }; /* beside 1 << enum json_type */

struct format {
    struct str name;
    bool (*is_valid)(struct str text);
};

struct op_number {
    const struct json *value;
    struct json_decimal decimal;
};

struct op_pattern {
    struct str text;
    struct regex *regex;
    struct schema *schema; /* of patternProperties */
};

struct op_schemas {
    size_t count;
    struct schema **of;
};

struct op_dynamic {
    struct str name; /* STR_NONE: like $ref */
    struct schema *schema;
};

struct op_property {
    struct str name;
    struct schema *schema;
};

struct op_members {
    struct op_property *properties; /* sorted by name */
    size_t properties_count;
    struct op_pattern *patterns;
    size_t patterns_count;
    struct schema *additional; /* or NULL */
};

struct op_items {
    struct op_schemas prefix;
    struct schema *rest; /* or NULL */
};

struct op_contains {
    struct schema *schema;
    int64_t min, max;
    bool marks; /* what it finds counts as evaluated */
};

struct op_condition {
    struct schema *condition, *then, *otherwise; /* the last two may be NULL */
};

struct op_dependency {
    struct str name;
    const struct json *names; /* or NULL */
    struct schema *schema;    /* or NULL */
};

struct op_dependencies {
    size_t count;
    struct op_dependency *of;
};

struct op {
    enum op_kind kind;
    union {
        const struct json *value;
        int64_t limit;
        unsigned types;
        struct schema *schema;
        const struct format *format;
        const struct op_number *number;
        const struct op_pattern *pattern;
        const struct op_schemas *schemas;
        const struct op_dynamic *dynamic;
        const struct op_members *members;
        const struct op_items *items;
        const struct op_contains *contains;
        const struct op_condition *condition;
        const struct op_dependencies *dependencies;
    };
    const struct json *source; /* the keyword's value, for messages */
};

struct schema {
    const struct json *json;
    struct resource *resource;
    struct op *ops;
    size_t ops_count;
    struct schema *next; /* on one of the queues */
    bool is_queued;      /* compiled, or about to be */
    bool collects;       /* has an unevaluated… keyword */
};

struct schema_queue {
    struct schema *first, **end;
};

struct compiler {
    struct arena *arena;
    const struct json_schema_options *options;
    struct document *documents;
    struct resource **resources; /* all, for their anchors */
    size_t resources_count, resources_capacity;
    void *names; /* tree of struct name */
    struct schema_queue to_index, to_compile;
    struct str *reason;
    size_t steps, pattern_bytes;
    bool has_dynamic_ref;
};

struct json_schema {
    struct schema *root;
};

void schema_queue_init(struct schema_queue *q);
void schema_queue_add(struct schema_queue *q, struct schema *s);
struct schema *schema_queue_take(struct schema_queue *q);

/* Sets the reason; returns -EINVAL. */
int schema_fail(struct compiler *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* Counts work; -EINVAL when it is too much. */
MUST_USE int schema_charge(struct compiler *c, size_t steps);

/* json_schema_uri.c: an absolute URI from a reference, the fragment included. */
struct str schema_uri_resolve(struct arena *a, struct str base, struct str reference);

/* json_schema_index.c */
MUST_USE int schema_index_root(struct compiler *c, const struct json *root, struct schema **schema);
/* The schema a reference in that resource means. */
MUST_USE int schema_find(struct compiler *c, struct resource *from, struct str reference,
                         struct schema **found);
/* The indexed schema at a node of the same document. */
struct schema *schema_at(struct document *d, const struct json *node);
void schema_index_fini(struct compiler *c);

/* json_schema_compile.c: where a keyword's value holds schemas. */
enum holds {
    HOLDS_NONE,
    HOLDS_ONE,
    HOLDS_LIST,
    HOLDS_ONE_OR_LIST,
    HOLDS_MAP, /* values that are arrays are none: draft 7's dependencies */
};
struct holder {
    struct str name;
    enum holds holds;
};
/* The n-th keyword, with HOLDS_NONE when the dialect does not know it; false behind the last. */
bool schema_keyword(size_t n, const struct dialect *dialect, struct holder *keyword);

/* json_schema_meta.c: the metaschemas; NULL for other URIs. */
const char *schema_meta_text(struct str uri);

/* json_schema_format.c: NULL for formats that are not asserted. */
const struct format *schema_format(struct str name);

/* json_schema_message.c: a value as Python prints it, cut when it is long. */
struct str schema_repr(struct arena *a, const struct json *v);
struct str schema_repr_text(struct arena *a, struct str text);

#endif
