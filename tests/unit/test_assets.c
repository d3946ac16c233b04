#include "assets.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

static const struct asset list[] = {
    {"one.js", "text/javascript"},
    {"two.css", "text/css"},
    {"gone.js", "text/javascript"},
};

static void put(struct arena *a, const char *directory, const char *name, struct str text)
{
    int fd = open(arena_printf(a, "%s/%s", directory, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK(write(fd, text.p, text.n) == (ssize_t)text.n);
    CHECK_INT(close(fd), 0);
}

static const char *new_directory(struct arena *a)
{
    char *path = arena_printf(a, "/tmp/sinas-assets-XXXXXX");

    CHECK(mkdtemp(path) != NULL);
    return path;
}

static void remove_directory(struct arena *a, const char *directory)
{
    for (size_t i = 0; i < nelem(list); i++) {
        const char *path = arena_printf(a, "%s/%s", directory, list[i].name);

        (void)unlink(path);
        (void)rmdir(path);
    }
    CHECK_INT(rmdir(directory), 0);
}

TEST(assets_are_read_with_their_version)
{
    const char *directory = new_directory(a);
    struct asset assets[nelem(list)], again[nelem(list)];

    memcpy(assets, list, sizeof(list));
    memcpy(again, list, sizeof(list));
    put(a, directory, "one.js", STR("let x\n"));
    put(a, directory, "two.css", STR(""));
    CHECK_INT(assets_load_from(a, assets, nelem(assets), directory), 1);
    CHECK_STR(assets[0].bytes, STR("let x\n"));
    CHECK(!str_is_none(assets[1].bytes) && assets[1].bytes.n == 0);
    CHECK(str_is_none(assets[2].bytes));
    CHECK_INT(assets[0].version.n, 16);
    put(a, directory, "one.js", STR("let y\n"));
    CHECK_INT(assets_load_from(a, again, nelem(again), directory), 1);
    CHECK(!str_eq(again[0].version, assets[0].version));
    CHECK_STR(again[1].version, assets[1].version);
    remove_directory(a, directory);
}

TEST(assets_that_are_no_files_are_missing)
{
    const char *directory = new_directory(a);
    struct asset assets[nelem(list)];

    memcpy(assets, list, sizeof(list));
    CHECK_INT(mkdir(arena_printf(a, "%s/one.js", directory), 0700), 0);
    CHECK_INT(mkfifo(arena_printf(a, "%s/two.css", directory), 0600), 0); /* must not be waited for */
    CHECK_INT(assets_load_from(a, assets, nelem(assets), directory), 3);
    CHECK_INT(assets_load(a, assets, nelem(assets), (const char *const[]){"no/such/directory"}, 1), 3);
    remove_directory(a, directory);
}

TEST(assets_are_found_by_exact_name_only)
{
    CHECK(assets_find(list, nelem(list), STR("two.css")) == &list[1]);
    CHECK(assets_find(list, nelem(list), STR("two.cs")) == NULL);
    CHECK(assets_find(list, nelem(list), STR("../two.css")) == NULL);
    CHECK(assets_find(list, nelem(list), STR("")) == NULL);
}

/* ---- answers ---- */

static struct req *new_request(struct arena *a, const char *if_none_match)
{
    struct req *r = arena_zalloc(a, sizeof(*r));
    struct http_field *field = arena_zalloc(a, sizeof(*field));

    arena_init(&r->arena);
    buf_init_arena(&r->answer, &r->arena);
    buf_init_arena(&r->headers, &r->arena);
    if (if_none_match != NULL) {
        *field = (struct http_field){STR("If-None-Match"), str_from(if_none_match)};
        r->head.fields = field;
        r->head.fields_count = 1;
    }
    return r;
}

TEST(asset_answers_with_the_bytes_themselves)
{
    static const char bytes[] = "body";
    struct req *r = new_request(a, NULL);

    CHECK_INT(asset_reply(r, "text/css", STR("body"), STR("0123")), 0);
    CHECK_INT(r->status, 200);
    CHECK_STR(r->content_type, STR("text/css"));
    CHECK_STR(buf_str(&r->headers), STR("ETag: \"0123\"\r\n"));
    CHECK_INT(asset_reply(r, "text/css", str_of(bytes, 4), STR("0123")), 0);
    CHECK(buf_str(&r->answer).p == bytes);
    /* What comes after it, a refusal for instance, does not go into them. */
    reply_reset(r);
    (void)fail(r, 503, "Service temporarily unavailable");
    CHECK_STR(STR("body"), str_of(bytes, 4));
    CHECK(buf_str(&r->answer).p != bytes);
    arena_fini(&r->arena);
}

static const struct {
    const char *if_none_match;
    int status;
} conditions[] = {
    {"\"0123\"", 304},  {"W/\"0123\"", 304}, {"\"9\", \"0123\"", 304}, {"*", 304},
    {"\"01234\"", 200}, {"0123", 200},       {"\"9\"", 200},           {"", 200},
};

TEST(asset_is_not_sent_again)
{
    for (size_t i = 0; i < nelem(conditions); i++) {
        struct req *r = new_request(a, conditions[i].if_none_match);

        CHECK_INT(asset_reply(r, "text/css", STR("body"), STR("0123")), 0);
        CHECK_INT(r->status, conditions[i].status);
        CHECK_INT(buf_size(&r->answer), r->status == 304 ? 0 : 4);
        CHECK_STR(buf_str(&r->headers), STR("ETag: \"0123\"\r\n"));
        arena_fini(&r->arena);
    }
}
