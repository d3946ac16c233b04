#include "test.h"

#include "base/json_schema.h"

#include <dirent.h>
#include <pthread.h>

enum { REMOTES_MAX = 128 };

struct remotes {
    struct json_schema_document of[REMOTES_MAX];
    size_t count;
};

static const struct json *parse(struct arena *a, struct str text)
{
    const struct json *v = NULL;
    struct json_error error;

    if (json_parse(a, text, &v, &error) < 0)
        test_failed(__FILE__, __LINE__, "not JSON: " STR_FMT, STR_ARG(text));
    return v;
}

/* The files of a folder of the suite's remotes, under the URIs their users expect. */
static void remotes_read(struct arena *a, struct remotes *remotes, const char *folder)
{
    DIR *dir = opendir(test_suite_path(a, arena_printf(a, "json-schema/remotes/%s", folder)));
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct json_schema_document *d = &remotes->of[remotes->count];
        const char *path = arena_printf(a, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", entry->d_name);

        if (!str_ends(str_from(path), STR(".json")) || remotes->count == REMOTES_MAX)
            continue;
        d->uri = arena_strf(a, "http://localhost:1234/%s", path);
        d->value =
            parse(a, test_read_file(a, test_suite_path(a, arena_printf(a, "json-schema/remotes/%s", path))));
        remotes->count++;
    }
    if (dir != NULL)
        closedir(dir);
}

static void remotes_read_all(struct arena *a, struct remotes *remotes, const char *draft)
{
    static const char *const below[] = {"", "/baseUriChange", "/baseUriChangeFolder",
                                        "/baseUriChangeFolderInSubschema", "/nested"};

    for (size_t i = 0; i < nelem(below); i++) {
        remotes_read(a, remotes, below[i][0] == '/' ? below[i] + 1 : "");
        remotes_read(a, remotes, arena_printf(a, "%s%s", draft, below[i]));
    }
}

/* What decoding "xn--" labels would find is left out by design. */
static bool is_left_out(const char *file, const struct json *data)
{
    struct str text = json_text(data);

    return strcmp(file, "hostname.json") == 0 &&
           (str_find(text, STR("xn--")) >= 0 || str_find(text, STR("XN--")) >= 0);
}

static unsigned group_run(const char *file, const struct json *group,
                          const struct json_schema_options *options)
{
    struct str name = json_get_text(group, STR("description")), reason = STR_NONE;
    struct json_schema *schema;
    unsigned count = 0;
    struct arena a;

    arena_init(&a);
    if (json_schema_compile(&a, json_get(group, STR("schema")), options, &schema, &reason) < 0) {
        test_failed(__FILE__, __LINE__, "%s: " STR_FMT ": " STR_FMT, file, STR_ARG(name), STR_ARG(reason));
        arena_fini(&a);
        return 0;
    }
    json_each (test, json_get(group, STR("tests"))) {
        const struct json *data = json_get(test, STR("data"));
        struct json_schema_error error = {STR_NONE, STR_NONE};
        int wanted = json_bool(json_get(test, STR("valid"))) ? 0 : -EINVAL, rc;

        if (is_left_out(file, data))
            continue;
        rc = json_schema_validate(&a, schema, data, &error);
        if (rc != wanted || (rc < 0 && (error.message.n == 0 || str_is_none(error.path))))
            test_failed(__FILE__, __LINE__, "%s: " STR_FMT ": " STR_FMT ": %d, '" STR_FMT "'", file,
                        STR_ARG(name), STR_ARG(json_get_text(test, STR("description"))), rc,
                        STR_ARG(error.message));
        count++;
    }
    arena_fini(&a);
    return count;
}

static unsigned file_run(struct arena *a, const char *path, const char *file,
                         const struct json_schema_options *options)
{
    const struct json *groups = parse(a, test_read_file(a, path));
    unsigned count = 0;

    json_each (group, groups)
        count += group_run(file, group, options);
    return count;
}

static unsigned draft_run(struct arena *a, const char *draft)
{
    struct remotes *remotes = arena_zalloc(a, sizeof(*remotes));
    struct json_schema_options options = {.draft7 = strcmp(draft, "draft7") == 0};
    const char *folder = test_suite_path(a, arena_printf(a, "json-schema/tests/%s", draft));
    DIR *dir = opendir(folder);
    struct dirent *entry;
    unsigned count = 0;

    remotes_read_all(a, remotes, draft);
    CHECK(remotes->count > 10);
    options.documents = remotes->of;
    options.documents_count = remotes->count;
    CHECK(dir != NULL);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (str_ends(str_from(entry->d_name), STR(".json")))
            count += file_run(a, arena_printf(a, "%s/%s", folder, entry->d_name), entry->d_name, &options);
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

TEST(json_schema_suite_2020_12)
{
    CHECK_INT(draft_run(a, "draft2020-12"), 1299);
}

TEST(json_schema_suite_draft7)
{
    CHECK_INT(draft_run(a, "draft7"), 927);
}

/* Of the optional cases those that hold here. */
static void optional_run(struct arena *a, const char *const *files, size_t count, bool assert_format)
{
    static const char *const drafts[] = {"draft2020-12", "draft7"};

    for (size_t i = 0; i < nelem(drafts); i++) {
        struct remotes *remotes = arena_zalloc(a, sizeof(*remotes));
        struct json_schema_options options = {.draft7 = i == 1, .assert_format = assert_format};

        remotes_read_all(a, remotes, drafts[i]);
        options.documents = remotes->of;
        options.documents_count = remotes->count;
        for (size_t j = 0; j < count; j++) {
            const char *path =
                test_suite_path(a, arena_printf(a, "json-schema/tests/%s/optional/%s", drafts[i], files[j]));
            const char *slash = strrchr(files[j], '/');

            if (access(path, R_OK) == 0)
                CHECK(file_run(a, path, slash != NULL ? slash + 1 : files[j], &options) > 0);
        }
    }
}

TEST(json_schema_suite_formats)
{
    static const char *const files[] = {
        "format/date-time.json", "format/date.json",     "format/time.json",
        "format/email.json",     "format/hostname.json", "format/ipv4.json",
        "format/ipv6.json",      "format/uri.json",      "format/uuid.json",
    };

    optional_run(a, files, nelem(files), true);
}

TEST(json_schema_suite_optional)
{
    static const char *const files[] = {
        "anchor.json",
        "bignum.json",
        "dynamicRef.json",
        "ecmascript-regex.json",
        "float-overflow.json",
        "format-assertion.json",
        "id.json",
        "no-schema.json",
        "non-bmp-regex.json",
        "refOfUnknownKeyword.json",
        "unknownKeyword.json",
    };

    optional_run(a, files, nelem(files), false);
}

/* Compiles and validates; the error's text, "" when valid, "!" and the reason when the schema is refused. */
static struct str verdict(struct arena *a, struct str schema_text, struct str value, struct str *path)
{
    struct json_schema_options options = {.assert_format = true};
    struct json_schema_error error = {STR_NONE, STR("")};
    struct json_schema *schema;
    struct str reason = STR_NONE;

    if (json_schema_compile(a, parse(a, schema_text), &options, &schema, &reason) < 0)
        return arena_strf(a, "!" STR_FMT, STR_ARG(reason));
    if (json_schema_validate(a, schema, parse(a, value), &error) == 0)
        return STR("");
    *path = error.path;
    return error.message;
}

TEST(json_schema_messages)
{
    static const struct {
        const char *schema, *value, *path, *message;
    } cases[] = {
        {"{\"required\":[\"a\",\"b\"]}", "{\"a\":1}", "", "'b' is a required property"},
        {"{\"type\":\"object\"}", "null", "", "None is not of type 'object'"},
        {"{\"type\":[\"string\",\"null\"]}", "true", "", "True is not of type 'string', 'null'"},
        {"{\"properties\":{\"t\":{\"enum\":[\"a\"]}}}", "{\"t\":\"x\"}", "/t", "'x' is not one of ['a']"},
        {"{\"const\":{\"a\":[1,\"it's\"]}}", "1", "", "{'a': [1, \"it's\"]} was expected"},
        {"{\"items\":{\"properties\":{\"a/b~\":{\"minimum\":3}}}}", "[{},{\"a/b~\":1}]", "/1/a~1b~0",
         "1 is less than the minimum of 3"},
        {"{\"maximum\":3}", "4", "", "4 is greater than the maximum of 3"},
        {"{\"exclusiveMinimum\":3}", "3", "", "3 is less than or equal to the minimum of 3"},
        {"{\"exclusiveMaximum\":3}", "3.0", "", "3.0 is greater than or equal to the maximum of 3"},
        {"{\"multipleOf\":0.01}", "0.0075", "", "0.0075 is not a multiple of 0.01"},
        {"{\"minLength\":2}", "\"\xc3\xa9\"", "", "'\xc3\xa9' is too short"},
        {"{\"maxItems\":1}", "[{},{}]", "", "[{}, {}] is too long"},
        {"{\"pattern\":\"^a\"}", "\"b\\n\"", "", "'b\\n' does not match '^a'"},
        {"{\"format\":\"date\"}", "\"x\"", "", "'x' is not a 'date'"},
        {"{\"uniqueItems\":true}", "[1,2,1.0]", "", "[1, 2, 1.0] has non-unique elements"},
        {"{\"minProperties\":2}", "{\"a\":1,\"a\":2}", "",
         "{'a': 1, 'a': 2} does not have enough properties"},
        {"{\"additionalProperties\":false}", "{\"b\":1}", "",
         "Additional properties are not allowed ('b' was unexpected)"},
        {"{\"prefixItems\":[true],\"items\":false}", "[1,2]", "", "Expected at most 1 items but found 2"},
        {"{\"allOf\":[{\"unevaluatedProperties\":false}]}", "{\"b\":1}", "",
         "Unevaluated properties are not allowed ('b' was unexpected)"},
        {"{\"anyOf\":[{\"type\":\"null\"},{\"minimum\":2}]}", "1", "",
         "1 is not valid under any of the given schemas"},
        {"{\"oneOf\":[true,true]}", "1", "", "1 is valid under more than one of the given schemas"},
        {"{\"not\":{\"type\":\"number\"}}", "1", "", "1 should not be valid under {'type': 'number'}"},
        {"{\"contains\":{\"type\":\"null\"}}", "[1]", "",
         "[1] does not contain items matching the given schema"},
        {"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", "", "'b' is a dependency of 'a'"},
        {"{\"propertyNames\":{\"maxLength\":1}}", "{\"ab\":1}", "", "'ab' is too long"},
        {"{\"properties\":{\"a\":false}}", "{\"a\":1}", "/a", "False schema does not allow 1"},
    };

    for (size_t i = 0; i < nelem(cases); i++) {
        struct str path = STR_NONE;

        CHECK_STR(verdict(a, str_from(cases[i].schema), str_from(cases[i].value), &path),
                  str_from(cases[i].message));
        CHECK_STR(path, str_from(cases[i].path));
    }
}

TEST(json_schema_takes_a_missing_value_for_null)
{
    struct json_schema_options options = {.assert_format = true};
    struct json_schema_error error = {STR_NONE, STR_NONE};
    struct json_schema *schema;
    struct str reason;

    CHECK_INT(json_schema_compile(a, parse(a, STR("{\"type\":\"object\"}")), &options, &schema, &reason), 0);
    CHECK_INT(json_schema_validate(a, schema, NULL, &error), -EINVAL);
    CHECK_STR(error.message, STR("None is not of type 'object'"));
    CHECK_INT(json_schema_compile(a, parse(a, STR("{\"const\":null}")), &options, &schema, &reason), 0);
    CHECK_INT(json_schema_validate(a, schema, NULL, &error), 0);
    CHECK_INT(json_schema_compile(a, NULL, &options, &schema, &reason), -EINVAL);
}

TEST(json_schema_refuses_what_is_no_schema)
{
    static const char *const bad[] = {
        "1",
        "\"a\"",
        "[]",
        "{\"type\":\"strin\"}",
        "{\"type\":1}",
        "{\"type\":[\"string\",1]}",
        "{\"minLength\":-1}",
        "{\"minLength\":1.5}",
        "{\"minimum\":\"1\"}",
        "{\"multipleOf\":0}",
        "{\"multipleOf\":-1}",
        "{\"pattern\":\"(\"}",
        "{\"pattern\":1}",
        "{\"patternProperties\":{\"(\":true}}",
        "{\"patternProperties\":1}",
        "{\"properties\":1}",
        "{\"properties\":{\"a\":1}}",
        "{\"required\":\"a\"}",
        "{\"required\":[1]}",
        "{\"enum\":1}",
        "{\"allOf\":[]}",
        "{\"allOf\":{}}",
        "{\"anyOf\":[1]}",
        "{\"not\":1}",
        "{\"items\":[]}",
        "{\"prefixItems\":{}}",
        "{\"$ref\":1}",
        "{\"$ref\":\"#/a\"}",
        "{\"$ref\":\"#a\"}",
        "{\"$ref\":\"http://elsewhere/\"}",
        "{\"$dynamicRef\":\"#x\"}",
        "{\"enum\":[1],\"$ref\":\"#/enum/0\"}",
        "{\"uniqueItems\":1}",
        "{\"dependentRequired\":{\"a\":1}}",
        "{\"dependentSchemas\":{\"a\":1}}",
        "{\"contains\":1}",
        "{\"contains\":{},\"maxContains\":-1}",
        "{\"format\":1}",
        "{\"if\":1}",
        "{\"if\":true,\"then\":1}",
        "{\"additionalProperties\":1}",
        "{\"unevaluatedItems\":1}",
    };

    for (size_t i = 0; i < nelem(bad); i++) {
        struct str path, message = verdict(a, str_from(bad[i]), STR("{}"), &path);

        if (!str_starts(message, STR("!")))
            test_failed(__FILE__, __LINE__, "accepted %s", bad[i]);
        if (message.n < 10)
            test_failed(__FILE__, __LINE__, "no reason for %s", bad[i]);
    }
}

TEST(json_schema_knows_its_metaschemas)
{
    struct str path, self = STR("{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}");
    struct str seven = STR("{\"$ref\":\"http://json-schema.org/draft-07/schema#\"}");

    CHECK_STR(
        verdict(a, self, STR("{\"properties\":{\"a\":{\"type\":[\"string\"],\"minLength\":1}}}"), &path),
        STR(""));
    CHECK_STR(verdict(a, self, STR("{\"properties\":{\"a\":{\"minLength\":-1}}}"), &path),
              STR("-1 is less than the minimum of 0"));
    CHECK_STR(path, STR("/properties/a/minLength"));
    CHECK_STR(verdict(a, self, STR("{\"$defs\":{\"x\":{\"allOf\":[]}}}"), &path), STR("[] is too short"));
    CHECK_STR(verdict(a, seven, STR("{\"items\":[{\"type\":\"x\"}]}"), &path),
              STR("[{'type': 'x'}] is not valid under any of the given schemas"));
    CHECK_STR(verdict(a, seven, STR("{\"items\":[{\"type\":\"string\"}]}"), &path), STR(""));
}

static int hostile_rc(struct arena *a, struct str schema_text, struct str value)
{
    struct json_schema_options options = {.assert_format = true};
    struct json_schema_error error = {STR_NONE, STR_NONE};
    struct json_schema *schema;
    struct str reason = STR_NONE;
    int rc = json_schema_compile(a, parse(a, schema_text), &options, &schema, &reason);

    if (rc == 0)
        rc = json_schema_validate(a, schema, parse(a, value), &error);
    if (rc == -E2BIG)
        CHECK(error.message.n > 0);
    return rc;
}

static struct str repeated(struct arena *a, const char *head, const char *each, size_t count,
                           const char *tail)
{
    struct buf out;

    buf_init_arena(&out, a);
    buf_add(&out, str_from(head));
    for (size_t i = 0; i < count; i++) {
        buf_add(&out, i != 0 ? STR(",") : STR(""));
        buf_addf(&out, each, (int)i, (int)i + 1);
    }
    buf_add(&out, str_from(tail));
    return buf_str(&out);
}

TEST(json_schema_work_is_bounded)
{
    struct str numbers;

    CHECK_INT(hostile_rc(a, STR("{\"$ref\":\"#\"}"), STR("1")), -E2BIG);
    CHECK_INT(hostile_rc(a, STR("{\"$dynamicRef\":\"#\"}"), STR("1")), -E2BIG);
    CHECK_INT(hostile_rc(a, STR("{\"not\":{\"$ref\":\"#\"}}"), STR("1")), -E2BIG);
    CHECK_INT(hostile_rc(a, STR("{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}"), STR("1")), -E2BIG);
    /* Doubles the work forty times over. */
    CHECK_INT(
        hostile_rc(a,
                   repeated(a, "{\"$ref\":\"#/$defs/a0\",\"$defs\":{",
                            "\"a%d\":{\"allOf\":[{\"$ref\":\"#/$defs/a%2$d\"},{\"$ref\":\"#/$defs/a%2$d\"}]}",
                            40, ",\"a40\":{\"type\":\"null\"}}}"),
                   STR("null")),
        -E2BIG);
    CHECK_INT(hostile_rc(a, STR("{\"pattern\":\"^(a+)+$\"}"),
                         STR("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"")),
              -EINVAL);
    /* A long chain is none without end. */
    CHECK_INT(
        hostile_rc(a,
                   repeated(a, "{\"$ref\":\"#/$defs/a0\",\"$defs\":{", "\"a%d\":{\"$ref\":\"#/$defs/a%d\"}",
                            1000, ",\"a1000\":{\"type\":\"null\"}}}"),
                   STR("null")),
        0);
    numbers = repeated(a, "[", "%d", 20000, "]");
    CHECK_INT(hostile_rc(a, STR("{\"uniqueItems\":true,\"items\":{\"type\":\"integer\"}}"), numbers), 0);
    numbers = repeated(a, "[", "[{\"a\":%d}]", 5000, "]");
    CHECK_INT(hostile_rc(a, STR("{\"uniqueItems\":true}"), numbers), 0);
    numbers = repeated(a, "[", "[%d]", 2000, ",[77]]");
    CHECK_INT(hostile_rc(a, STR("{\"uniqueItems\":true}"), numbers), -EINVAL);
    /* Thousands of required names among thousands of members. */
    CHECK_INT(hostile_rc(a, repeated(a, "{\"required\":[", "\"k%d\"", 20000, "]}"),
                         repeated(a, "{", "\"k%d\":1", 20000, "}")),
              -E2BIG);
    CHECK_INT(hostile_rc(a, repeated(a, "{\"patternProperties\":{", "\"a%d\":true", 2000, "}}"), STR("{}")),
              -EINVAL);
}

TEST(json_schema_unevaluated_over_many_words)
{
    struct str schema = repeated(a, "{\"anyOf\":[{\"properties\":{", "\"k%d\":true", 100,
                                 "}},{\"required\":[\"none\"],\"additionalProperties\":true}],"
                                 "\"unevaluatedProperties\":{\"type\":\"null\"}}");

    CHECK_INT(hostile_rc(a, schema, repeated(a, "{", "\"k%d\":1", 100, "}")), 0);
    CHECK_INT(hostile_rc(a, schema, repeated(a, "{", "\"k%d\":1", 100, ",\"x\":null}")), 0);
    CHECK_INT(hostile_rc(a, schema, repeated(a, "{", "\"k%d\":1", 100, ",\"x\":1}")), -EINVAL);
}

static void *on_small_stack(void *arena)
{
    struct arena *a = arena;
    struct buf pattern, deep;

    buf_init_arena(&pattern, a);
    buf_init_arena(&deep, a);
    buf_add(&pattern, STR("{\"pattern\":\""));
    for (int i = 0; i < 24; i++)
        buf_add(&pattern, STR("(?:a|(b"));
    for (int i = 0; i < 48; i++)
        buf_add(&pattern, STR(")*"));
    buf_add(&pattern, STR("\"}"));
    (void)hostile_rc(a, buf_str(&pattern), STR("\"aaaaaaaaaaaaaabbbbbbbbbbbbbababac\""));
    buf_clear(&pattern);
    buf_add(&pattern, STR("{\"items\":{\"$ref\":\"#\"},\"pattern\":\"^"));
    for (int i = 0; i < 23; i++)
        buf_add(&pattern, STR("(a?|b+?\\\\w(?=x*)"));
    for (int i = 0; i < 23; i++)
        buf_add(&pattern, STR(")*?"));
    buf_add(&pattern, STR("$\",\"uniqueItems\":true}"));
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_add(&deep, STR("["));
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_add(&deep, i == 0 ? STR("\"aaaaaaaaaaaaaaaaaaaaaaaaac\"]")
                              : STR(",\"a\",\"b\",\"aa\",\"bxx\",\"ab\",1,2,3,4]"));
    CHECK_INT(hostile_rc(a, buf_str(&pattern), buf_str(&deep)), -EINVAL);
    (void)hostile_rc(a, STR("{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}"),
                     buf_str(&pattern));
    return NULL;
}

/* Tasks have 64 KiB. */
TEST(json_schema_fits_a_task_stack)
{
#if defined(__SANITIZE_ADDRESS__)
    enum { STACK = 512 * 1024 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    enum { STACK = 512 * 1024 };
#else
    enum { STACK = 48 * 1024 };
#endif
#else
    enum { STACK = 48 * 1024 };
#endif
    pthread_attr_t attributes;
    pthread_t thread;

    CHECK_INT(pthread_attr_init(&attributes), 0);
    CHECK_INT(pthread_attr_setstacksize(&attributes, STACK), 0);
    CHECK_INT(pthread_create(&thread, &attributes, on_small_stack, a), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    (void)pthread_attr_destroy(&attributes);
}
