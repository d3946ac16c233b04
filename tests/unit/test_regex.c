#include "test.h"

#include "base/buf.h"
#include "base/regex.h"

static struct regex *compiled(struct arena *a, const char *pattern, unsigned flags)
{
    struct regex *r = NULL;
    struct str reason = STR_NONE;

    if (regex_compile(a, str_from(pattern), flags, &r, &reason) < 0)
        test_failed(__FILE__, __LINE__, "%s: " STR_FMT, pattern, STR_ARG(reason));
    return r;
}

static int found(struct arena *a, const char *pattern, unsigned flags, struct str subject)
{
    struct regex_match match;

    return regex_search(compiled(a, pattern, flags), subject, 0, &match);
}

TEST(regex_searches)
{
    struct regex_match match;
    struct regex *r = compiled(a, "b+", 0);

    CHECK_INT(regex_search(r, STR("abbbc"), 0, &match), 1);
    CHECK_INT(match.start, 1);
    CHECK_INT(match.end, 4);
    CHECK_INT(regex_search(r, STR("abbbc"), 3, &match), 1);
    CHECK_INT(match.start, 3);
    CHECK_INT(regex_search(r, STR("abbbc"), 5, &match), 0);
    CHECK_INT(found(a, "", 0, STR_NONE), 1);
    CHECK_INT(found(a, "^ABC$", REGEX_IGNORE_CASE, STR("abc")), 1);
    CHECK_INT(found(a, "^abc$", 0, STR("abc\n")), 0);
    CHECK_INT(found(a, "a|ab", REGEX_WHOLE, STR("ab")), 1);
    CHECK_INT(found(a, "b", REGEX_WHOLE, STR("ab")), 0);
}

TEST(regex_speaks_ecmascript)
{
    CHECK_INT(found(a, "^\\p{Letter}+$", 0, STR("\xc3\xa9\xd0\x96")), 1);
    CHECK_INT(found(a, "^\\p{Script=Greek}\\P{Lu}$", 0, STR("\xce\xb1x")), 1);
    CHECK_INT(found(a, "^[\\p{gc=Decimal_Number}\\s]+$", 0, STR("1\xe0\xa7\xaa\xc2\xa0")), 1);
    CHECK_INT(found(a, "^\\d$", 0, STR("\xe0\xa7\xaa")), 0);
    CHECK_INT(found(a, "^\\u00e9.$", 0, STR("\xc3\xa9\xf0\x9f\x98\x80")), 1);
    CHECK_INT(found(a, "^\\u{1F600}$", 0, STR("\xf0\x9f\x98\x80")), 1);
    CHECK_INT(found(a, "[^]", 0, STR("\n")), 1);
    CHECK_INT(found(a, "[]", 0, STR("a")), 0);
    CHECK_INT(found(a, "^[(*]$", 0, STR("*")), 1);
    CHECK_INT(found(a, "^\\(*$", 0, STR("((")), 1);
}

TEST(regex_goes_on_as_machine_code)
{
    struct regex *r = compiled(a, "^(?:ab)+$", 0);
    struct regex_match match;

    for (int i = 0; i < 20; i++) {
        CHECK_INT(regex_search(r, STR("ababab"), 0, &match), 1);
        CHECK_INT(regex_search(r, STR("ababa"), 0, &match), 0);
    }
}

TEST(regex_refuses_bad_patterns)
{
    static const char *const bad[] = {"(",      "[a", "a{2,1}", "\\",   "(*LIMIT_MATCH=1)a",
                                      "(*UTF)", "*",  "\\C",    "a\xff"};
    struct buf deep;
    struct str reason;
    struct regex *r;

    for (size_t i = 0; i < nelem(bad); i++) {
        reason = STR_NONE;
        if (regex_compile(a, str_from(bad[i]), 0, &r, &reason) != -EINVAL || reason.n == 0)
            test_failed(__FILE__, __LINE__, "accepted %s", bad[i]);
    }
    buf_init_arena(&deep, a);
    for (int i = 0; i < 30; i++)
        buf_add_byte(&deep, '(');
    for (int i = 0; i < 30; i++)
        buf_add_byte(&deep, ')');
    CHECK_INT(regex_compile(a, buf_str(&deep), 0, &r, &reason), -EINVAL);
    (void)buf_reserve(&deep, REGEX_PATTERN_MAX);
    memset(buf_reserve(&deep, REGEX_PATTERN_MAX), 'a', REGEX_PATTERN_MAX);
    buf_commit(&deep, REGEX_PATTERN_MAX);
    CHECK_INT(regex_compile(a, buf_str(&deep), 0, &r, &reason), -EINVAL);
}

/* Patterns that are slow at every start, or slow between two items. */
TEST(regex_work_is_bounded)
{
    static const char *const slow[] = {
        "(a+)+$",          "(a|aa)+$",         "(a*)*b",           "(.*)(.*)(.*)(.*)(.*)x$",
        "[^b]*+[^c]*+z|q", "(a*)\\1\\1\\1b",   "(?:a?){30}a{30}c", "(?=(a+))a*c\\1",
        "(?:(?:a*)*)*c",   "a*?a*?a*?a*?a*?c", "(?<=a)[^x]*c",     "^(?:a|b|ab)*c",
    };
    enum { LONG = 60000 };
    char *text = arena_bytes(a, LONG);
    struct str subject = str_of(text, LONG);

    memset(text, 'a', LONG);
    text[LONG - 1] = '!';
    for (size_t i = 0; i < nelem(slow); i++) {
        struct regex *r = compiled(a, slow[i], 0);

        for (int j = 0; j < 12; j++) { /* by the interpreter, then as machine code */
            struct regex_match match;
            int rc = regex_search(r, subject, 0, &match);

            if (match.steps > 2000000)
                test_failed(__FILE__, __LINE__, "%s took %zu steps: %d", slow[i], match.steps, rc);
        }
    }
}

TEST(regex_finds_in_long_texts)
{
    enum { LONG = 200000 };
    char *text = arena_bytes(a, LONG);
    struct regex_match match;

    memset(text, 'a', LONG);
    memcpy(text + LONG - 10, "needle", 6);
    CHECK_INT(regex_search(compiled(a, "n[e]+dle", 0), str_of(text, LONG), 0, &match), 1);
    CHECK_INT(match.start, LONG - 10);
    CHECK_INT(found(a, "^[a-z]+$", 0, str_of(text, LONG)), 1);
    text[5] = (char)0xff; /* is no character, matches nothing */
    CHECK_INT(found(a, "^.*needle", 0, str_of(text, LONG)), 0);
    CHECK_INT(found(a, "needle", 0, str_of(text, LONG)), 1);
}
