#include "test.h"

#include "handlers/content.h"

static const struct json *parse(struct arena *a, const char *text)
{
    const struct json *v;
    struct json_error error;

    CHECK(json_parse(a, str_from(text), &v, &error) == 0);
    return v;
}

TEST(content_string_is_kept_as_it_is)
{
    struct content c;
    struct content_error e;

    CHECK_INT(content_parse(a, parse(a, "\"[1, 2, 3]\""), false, &c, &e), 0);
    CHECK(!c.is_parts);
    CHECK_STR(c.stored, STR("[1, 2, 3]"));
    CHECK_INT(content_parse(a, parse(a, "\"a\\u0000b\""), false, &c, &e), -EINVAL);
}

TEST(content_parts_are_normalised)
{
    struct content c;
    struct content_error e;

    CHECK_INT(content_parse(a,
                            parse(a, "[\"hi\", {\"type\":\"text\",\"text\":\"x\",\"extra\":null},"
                                     "{\"type\":\"image\",\"image\":\"https://h/i.png\",\"detail\":\"low\"},"
                                     "{\"type\":\"audio\",\"format\":\"webm\",\"data\":\"AAAA\"},"
                                     "{\"type\":\"file\",\"file_url\":\"https://h/f\",\"filename\":\"f\"}]"),
                            false, &c, &e),
              0);
    CHECK(c.is_parts);
    CHECK_STR(c.stored, STR("[{\"type\":\"text\",\"text\":\"hi\"},{\"type\":\"text\",\"text\":\"x\"},"
                            "{\"type\":\"image\",\"image\":\"https://h/i.png\",\"detail\":\"low\"},"
                            "{\"type\":\"audio\",\"format\":\"webm\",\"data\":\"AAAA\"},"
                            "{\"type\":\"file\",\"file_url\":\"https://h/f\",\"filename\":\"f\"}]"));
    CHECK_STR(c.live, c.stored);
}

TEST(content_inline_data_is_not_stored_in_public)
{
    struct content c;
    struct content_error e;

    CHECK_INT(content_parse(
                  a,
                  parse(a, "[{\"type\":\"image\",\"image\":\"data:image/png;base64,AA\"},"
                           "{\"type\":\"audio\",\"format\":\"wav\",\"data\":\"AA\"},"
                           "{\"type\":\"audio\",\"format\":\"wav\",\"data\":\"AA\",\"url\":\"https://h/a\"},"
                           "{\"type\":\"file\",\"file_data\":\"AA\",\"filename\":\"a.pdf\"}]"),
                  true, &c, &e),
              0);
    CHECK_STR(c.stored,
              STR("[{\"type\":\"text\",\"text\":\"[An image was sent inline and is no longer available.]\"},"
                  "{\"type\":\"text\",\"text\":\"[wav audio was sent inline and is no longer available.]\"},"
                  "{\"type\":\"audio\",\"format\":\"wav\",\"data\":\"AA\",\"url\":\"https://h/a\"},"
                  "{\"type\":\"text\",\"text\":\"['a.pdf' was sent inline and is no longer available.]\"}]"));
    CHECK(str_find(c.live, STR("base64,AA")) > 0);
}

TEST(content_says_what_is_wrong)
{
    static const struct {
        const char *json, *type;
        int index;
        const char *member;
    } rows[] = {
        {"5", "string_type", -1, NULL},
        {"null", "string_type", -1, NULL},
        {"[]", "too_short", -1, NULL},
        {"[5]", "model_attributes_type", 0, NULL},
        {"[\"a\", {}]", "missing", 1, "type"},
        {"[{\"type\":\"video\"}]", "literal_error", 0, "type"},
        {"[{\"type\":5}]", "literal_error", 0, "type"},
        {"[{\"type\":\"text\"}]", "missing", 0, "text"},
        {"[{\"type\":\"text\",\"text\":null}]", "string_type", 0, "text"},
        {"[{\"type\":\"text\",\"text\":\"\\u0000\"}]", "value_error", 0, "text"},
        {"[{\"type\":\"image\",\"image\":\"ftp://x\"}]", "value_error", 0, "image"},
        {"[{\"type\":\"image\",\"image\":\"https://x\",\"detail\":\"max\"}]", "literal_error", 0, "detail"},
        {"[{\"type\":\"audio\",\"format\":\"wav\"}]", "value_error", 0, NULL},
        {"[{\"type\":\"audio\",\"format\":\"WAV\",\"data\":\"A\"}]", "string_pattern_mismatch", 0, "format"},
        {"[{\"type\":\"audio\",\"data\":\"A\"}]", "missing", 0, "format"},
        {"[{\"type\":\"file\"}]", "value_error", 0, NULL},
        {"[{\"type\":\"file\",\"file_id\":7}]", "string_type", 0, "file_id"},
    };

    for (size_t i = 0; i < nelem(rows); i++) {
        struct content c;
        struct content_error e = {0};

        if (content_parse(a, parse(a, rows[i].json), false, &c, &e) != -EINVAL ||
            strcmp(e.type, rows[i].type) != 0 || e.index != rows[i].index ||
            (e.member == NULL) != (rows[i].member == NULL) ||
            (e.member != NULL && strcmp(e.member, rows[i].member) != 0))
            test_failed(__FILE__, __LINE__, "%s: %s at %d %s", rows[i].json, e.type, (int)e.index,
                        e.member != NULL ? e.member : "-");
    }
}

TEST(content_looks_like_parts_only_when_all_are)
{
    CHECK(content_looks_like_parts(a, STR("[{\"type\":\"text\",\"text\":\"x\"}]")));
    CHECK(!content_looks_like_parts(a, STR("[1, 2]")));
    CHECK(!content_looks_like_parts(a, STR("[]")));
    CHECK(!content_looks_like_parts(a, STR("[{\"type\":\"text\"},{\"type\":\"other\"}]")));
    CHECK(!content_looks_like_parts(a, STR("[not json")));
}
