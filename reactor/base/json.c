/* Access to parsed values, and equality. */
#include "base/json.h"

#include "base/json_node.h"

enum json_type json_type(const struct json *v)
{
    return v != NULL ? json_node_type(v) : JSON_NULL;
}

struct str json_raw(const struct json *v)
{
    return v != NULL ? str_of(v->p, v->n) : STR_NONE;
}

struct str json_text(const struct json *v)
{
    return json_is(v, JSON_STRING) ? json_node_text(v) : STR_NONE;
}

bool json_bool(const struct json *v)
{
    return json_is(v, JSON_BOOL) && (v->info & JSON_FLAG) != 0;
}

size_t json_count(const struct json *v)
{
    return v != NULL && json_is_container(v) ? v[1].n : 0;
}

const struct json *json_first(const struct json *v)
{
    return json_count(v) != 0 ? v + 2 : NULL;
}

const struct json *json_key(const struct json *member)
{
    assert(json_is(member, JSON_STRING));
    return member;
}

const struct json *json_value(const struct json *member)
{
    return member + json_span(member);
}

const struct json *json_next(const struct json *parent, const struct json *item)
{
    const struct json *last = json_node_type(parent) == JSON_OBJECT ? json_value(item) : item;
    const struct json *next = last + json_span(last);

    return next < parent + json_span(parent) ? next : NULL;
}

const struct json *json_get(const struct json *v, struct str name)
{
    const struct json *found = NULL;

    if (!json_is(v, JSON_OBJECT))
        return NULL;
    json_each_member (m, v) {
        if (str_eq(json_node_text(m), name))
            found = json_value(m);
    }
    return found;
}

const struct json *json_at(const struct json *v, size_t n)
{
    if (!json_is(v, JSON_ARRAY))
        return NULL;
    json_each (item, v) {
        if (n-- == 0)
            return item;
    }
    return NULL;
}

struct str json_get_text(const struct json *v, struct str name)
{
    return json_text(json_get(v, name));
}

/* ---- Order and equality ---- */

/*
 * Two containers of the same type that are being compared. Objects are put in
 * the order of their names first, which keeps hostile ones from costing more
 * than n log n.
 */
struct pair {
    const struct json *a, *b;           /* arrays: the next elements; objects: unused */
    const struct json **names, **other; /* objects: the members by name, from one allocation */
    size_t left;                        /* elements or members to compare */
};

static int member_compare(const void *left, const void *right)
{
    const struct json *l = *(const struct json *const *)left, *r = *(const struct json *const *)right;
    int order = str_cmp(json_node_text(l), json_node_text(r));

    if (order != 0)
        return order;
    return l < r ? -1 : l > r;
}

/* The members by name, of equal names the last. Returns their number. */
static size_t members_sort(const struct json *object, const struct json **members)
{
    size_t n = 0, kept = 0;

    json_each_member (m, object)
        members[n++] = m;
    qsort(members, n, sizeof(const struct json *), member_compare);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && str_eq(json_node_text(members[i]), json_node_text(members[i + 1])))
            continue;
        members[kept++] = members[i];
    }
    return kept;
}

size_t json_count_names(const struct json *object)
{
    const struct json **members = mem_alloc(json_count(object) * sizeof(*members));
    size_t n = members_sort(object, members);

    free(members);
    return n;
}

static int number_compare(const struct json *a, const struct json *b)
{
    struct json_decimal left, right;

    if (str_eq(json_raw(a), json_raw(b)))
        return 0;
    json_decimal_read(&left, json_raw(a));
    json_decimal_read(&right, json_raw(b));
    return json_decimal_compare(&left, &right);
}

/* Two values of one type, which is no container. */
static int scalar_compare(const struct json *a, const struct json *b, size_t *steps)
{
    *steps += 1 + (json_raw(a).n + json_raw(b).n) / 64;
    switch (json_type(a)) {
    case JSON_BOOL:
        return json_bool(a) - json_bool(b);
    case JSON_STRING:
        return str_cmp(json_node_text(a), json_node_text(b));
    case JSON_NUMBER:
        return number_compare(a, b);
    default:
        return 0;
    }
}

static int names_compare(const struct pair *pair)
{
    int order = 0;

    for (size_t i = 0; order == 0 && i < pair->left; i++)
        order = str_cmp(json_node_text(pair->names[i]), json_node_text(pair->other[i]));
    return order;
}

static int count_compare(size_t a, size_t b)
{
    return a < b ? -1 : a > b;
}

static int objects_open(struct pair *pair, const struct json *a, const struct json *b)
{
    size_t count_a = json_count(a), count_b = json_count(b);
    const struct json **members = mem_alloc((count_a + count_b) * sizeof(*members));

    pair->names = members;
    pair->other = members + count_a;
    count_a = members_sort(a, pair->names);
    count_b = members_sort(b, pair->other);
    if (count_a != count_b)
        return count_compare(count_a, count_b);
    pair->left = count_a;
    return names_compare(pair);
}

/* Begins to compare two containers of one type; not 0 when their order is known already. */
static int pair_open(struct pair *pair, const struct json *a, const struct json *b, size_t *steps)
{
    size_t count_a = json_count(a), count_b = json_count(b);

    *pair = (struct pair){0};
    if (json_node_type(a) == JSON_OBJECT) {
        *steps += 1 + 4 * (count_a + count_b);
        return objects_open(pair, a, b);
    }
    pair->a = a + 2;
    pair->b = b + 2;
    pair->left = count_a;
    return count_compare(count_a, count_b);
}

/* The next values to compare. */
static void pair_next(struct pair *pair, const struct json **a, const struct json **b)
{
    size_t i = --pair->left;

    if (pair->names != NULL) {
        *a = json_value(pair->names[i]);
        *b = json_value(pair->other[i]);
        return;
    }
    *a = pair->a;
    *b = pair->b;
    pair->a += json_span(pair->a);
    pair->b += json_span(pair->b);
}

static int containers_compare(struct pair *pairs, const struct json *a, const struct json *b, size_t *steps)
{
    size_t depth = 0;
    int order = pair_open(&pairs[depth++], a, b, steps);

    while (order == 0 && depth > 0) {
        struct pair *top = &pairs[depth - 1];

        if (top->left == 0) {
            free(top->names);
            depth--;
            continue;
        }
        pair_next(top, &a, &b);
        if (json_type(a) != json_type(b))
            order = (int)json_type(a) - (int)json_type(b);
        else if (!json_is_container(a))
            order = scalar_compare(a, b, steps);
        else
            order = pair_open(&pairs[depth++], a, b, steps);
    }
    while (depth > 0)
        free(pairs[--depth].names);
    return order;
}

int json_compare(const struct json *a, const struct json *b, size_t *steps)
{
    struct pair *pairs;
    int order;

    if (json_type(a) != json_type(b))
        return (int)json_type(a) - (int)json_type(b);
    if (a == NULL || b == NULL || !json_is_container(a))
        return scalar_compare(a, b, steps);
    *steps += 1 + (json_raw(a).n == json_raw(b).n ? json_raw(a).n / 64 : 0);
    if (str_eq(json_raw(a), json_raw(b)))
        return 0;
    pairs = mem_alloc(JSON_DEPTH_MAX * sizeof(*pairs));
    order = containers_compare(pairs, a, b, steps);
    free(pairs);
    return order;
}

bool json_equal(const struct json *a, const struct json *b)
{
    size_t steps = 0;

    return json_compare(a, b, &steps) == 0;
}
