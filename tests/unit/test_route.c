#include "test.h"

#include "route.h"

static int handler(struct req *r UNUSED)
{
    return 0;
}

#define ROW(verb, text, bits)                                                                                \
    {                                                                                                        \
        .method = HTTP_##verb, .path = text, .rule = RULE_PUBLIC, .handler = handler, .flags = bits          \
    }

static const struct route rows[] = {
    ROW(GET, "/", 0),
    ROW(GET, "/agents/{namespace}/{name}", 0),
    ROW(PUT, "/agents/{namespace}/{name}", 0),
    ROW(GET, "/agents/{name}", 0),
    ROW(POST, "/agents/default", 0),
    ROW(GET, "/agents/default/settings", 0),
    ROW(GET, "/health", 0),
    ROW(POST, "/webhooks/{path}", ROUTE_TAIL),
    ROW(GET, "/webhooks/{path}", ROUTE_TAIL),
    ROW(GET, "/webhooks/literal", 0),
    ROW(GET, "/a/{x}/c", 0),
    ROW(GET, "/a/b/d", 0),
    ROW(GET, "/files/{ns}/{path}", ROUTE_TAIL),
    ROW(GET, "/files/{ns}", 0),
    ROW(GET, "/one/{a}/{b}/{c}/{d}/{e}/{f}", 0),
};

enum { NONE = -1, BAD = -2 };
#define ALLOW_GET (1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_OPTIONS)
#define ALLOW(m)  (1u << HTTP_##m)

static const struct {
    enum http_method method;
    const char *path;
    int row; /* index, NONE or BAD */
    unsigned methods;
    const char *params[2];
} cases[] = {
    {HTTP_GET, "/", 0, ALLOW_GET, {0}},
    {HTTP_HEAD, "/", 0, ALLOW_GET, {0}},
    {HTTP_POST, "/", NONE, ALLOW_GET, {0}},
    {HTTP_GET, "//", NONE, 0, {0}},
    {HTTP_GET, "", NONE, 0, {0}},
    {HTTP_OPTIONS, "*", NONE, 0, {0}},
    {HTTP_OTHER, "example.com:443", NONE, 0, {0}},
    {HTTP_GET, "/health", 6, ALLOW_GET, {0}},
    {HTTP_GET, "/%68ealth", 6, ALLOW_GET, {0}},
    {HTTP_GET, "/health/", 6, ALLOW_GET, {0}},
    {HTTP_GET, "/health//", NONE, 0, {0}},
    {HTTP_GET, "/Health", NONE, 0, {0}},
    {HTTP_GET, "/healthy", NONE, 0, {0}},
    {HTTP_GET, "/healt", NONE, 0, {0}},
    {HTTP_GET, "//health", NONE, 0, {0}},
    {HTTP_GET, "/./health", NONE, 0, {0}},
    {HTTP_GET, "/a/../health", NONE, 0, {0}},
    {HTTP_GET, "/health%2F", NONE, 0, {0}},
    {HTTP_GET, "/agents/x", 3, ALLOW_GET, {"x"}},
    {HTTP_GET, "/agents/default", 3, ALLOW_GET | ALLOW(POST), {"default"}},
    {HTTP_POST, "/agents/default", 4, ALLOW_GET | ALLOW(POST), {0}},
    {HTTP_POST, "/agents/d%65fault/", 4, ALLOW_GET | ALLOW(POST), {0}},
    {HTTP_POST, "/agents/x", NONE, ALLOW_GET, {0}},
    {HTTP_DELETE, "/agents/default", NONE, ALLOW_GET | ALLOW(POST), {0}},
    {HTTP_OTHER, "/agents/x", NONE, ALLOW_GET, {0}},
    {HTTP_GET, "/agents/default/settings", 5, ALLOW_GET | ALLOW(PUT), {0}},
    {HTTP_PUT, "/agents/default/settings", 2, ALLOW_GET | ALLOW(PUT), {"default", "settings"}},
    {HTTP_GET, "/agents/a%2Fb/c%20d", 1, ALLOW_GET | ALLOW(PUT), {"a/b", "c d"}},
    {HTTP_GET, "/agents/a/b/", 1, ALLOW_GET | ALLOW(PUT), {"a", "b"}},
    {HTTP_GET, "/agents/a/b//", NONE, 0, {0}},
    {HTTP_GET, "/agents//b", NONE, 0, {0}},
    {HTTP_GET, "/agents/", NONE, 0, {0}},
    {HTTP_GET, "/agents/..", NONE, 0, {0}},
    {HTTP_GET, "/agents/%2e%2E", NONE, 0, {0}},
    {HTTP_GET, "/agents/.", NONE, 0, {0}},
    {HTTP_GET, "/agents/...", 3, ALLOW_GET, {"..."}},
    {HTTP_GET, "/agents/%c3%a9", 3, ALLOW_GET, {"\xc3\xa9"}},
    {HTTP_GET, "/agents/a+b", 3, ALLOW_GET, {"a+b"}},
    {HTTP_GET, "/agents/%", BAD, 0, {0}},
    {HTTP_GET, "/agents/%00", BAD, 0, {0}},
    {HTTP_GET, "/agents/%ff", BAD, 0, {0}},
    {HTTP_GET, "/nowhere/%zz", BAD, 0, {0}},
    {HTTP_GET, "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/%zz", BAD, 0, {0}},
    {HTTP_GET, "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27", NONE, 0, {0}},
    {HTTP_GET, "/a/b/d", 11, ALLOW_GET, {0}},
    {HTTP_GET, "/a/b/c", 10, ALLOW_GET, {"b"}}, /* back from the literal */
    {HTTP_GET, "/a/x/c", 10, ALLOW_GET, {"x"}},
    {HTTP_GET, "/a/x/d", NONE, 0, {0}},
    {HTTP_POST, "/webhooks/one", 7, ALLOW_GET | ALLOW(POST), {"one"}},
    {HTTP_POST, "/webhooks/one/two", 7, ALLOW_GET | ALLOW(POST), {"one/two"}},
    {HTTP_POST, "/webhooks/one/", 7, ALLOW_GET | ALLOW(POST), {"one/"}},
    {HTTP_POST, "/webhooks/o%20e//t%2fwo/", 7, ALLOW_GET | ALLOW(POST), {"o e//t/wo/"}},
    {HTTP_POST, "/webhooks/", 7, ALLOW_GET | ALLOW(POST), {""}},
    {HTTP_POST, "/webhooks", NONE, 0, {0}},
    {HTTP_GET, "/webhooks/literal", 9, ALLOW_GET | ALLOW(POST), {0}},
    {HTTP_POST, "/webhooks/literal", 7, ALLOW_GET | ALLOW(POST), {"literal"}},
    {HTTP_POST,
     "/webhooks/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26",
     7,
     ALLOW_GET | ALLOW(POST),
     {"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26"}},
    {HTTP_GET, "/files/ns", 13, ALLOW_GET, {"ns"}},
    {HTTP_GET, "/files/ns/", 13, ALLOW_GET, {"ns"}},
    {HTTP_GET, "/files/n%20s/a/b", 12, ALLOW_GET, {"n s", "a/b"}},
    {HTTP_GET, "/one/1/2/3/4/5/6", 14, ALLOW_GET, {"1", "2"}},
    {HTTP_GET, "/one/1/2/3/4/5/6/7", NONE, 0, {0}},
};

TEST(route_find_table)
{
    struct route_table *t = route_table_new(rows, nelem(rows));

    for (size_t i = 0; i < nelem(cases); i++) {
        const struct route *wanted = cases[i].row >= 0 ? &rows[cases[i].row] : NULL;
        struct route_match m;
        int rc = route_find(t, a, cases[i].method, str_from(cases[i].path), &m);

        if (rc != (cases[i].row == BAD ? -EINVAL : 0) || m.route != wanted || m.methods != cases[i].methods ||
            m.path_is_known != (cases[i].methods != 0))
            test_failed(__FILE__, __LINE__, "%s %s: %d, row %td, methods %x",
                        http_method_name(cases[i].method), cases[i].path, rc,
                        m.route != NULL ? m.route - rows : -1, m.methods);
        for (size_t p = 0; p < 2 && m.route != NULL && cases[i].params[p] != NULL; p++)
            CHECK_STR(m.params[p], str_from(cases[i].params[p]));
    }
    route_table_free(t);
}
