#include "handlers/pattern.h"

#include "base/log.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { PATTERNS_MAX = 256, PATTERN_STEPS_MAX = 100000 };

/* Constants of the program, compiled: the same in every process and never freed. */
static struct {
    struct {
        const char *text;
        pcre2_code *code;
    } compiled[PATTERNS_MAX];
    size_t count;
    pcre2_match_context *limits;
} state;

static pcre2_code *pattern_compile(const char *pattern)
{
    int error;
    size_t offset;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY,
                                     &error, &offset, NULL);

    if (code == NULL || state.count == PATTERNS_MAX) {
        log_error("pattern", "'%s' cannot be compiled at %zu", pattern, offset);
        abort(); /* a mistake in a constant table; the unit tests compile all of them */
    }
    state.compiled[state.count].text = pattern;
    state.compiled[state.count].code = code;
    state.count++;
    return code;
}

static pcre2_code *pattern_code(const char *pattern)
{
    for (size_t i = 0; i < state.count; i++) {
        if (state.compiled[i].text == pattern)
            return state.compiled[i].code;
    }
    return pattern_compile(pattern);
}

bool pattern_matches(const char *pattern, struct str text)
{
    pcre2_code *code = pattern_code(pattern);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    int rc;

    if (state.limits == NULL) {
        state.limits = pcre2_match_context_create(NULL);
        if (state.limits == NULL)
            abort();
        pcre2_set_match_limit(state.limits, PATTERN_STEPS_MAX);
    }
    if (match == NULL)
        abort(); /* out of memory */
    rc = pcre2_match(code, (PCRE2_SPTR)(text.n != 0 ? text.p : ""), text.n, 0, PCRE2_NO_UTF_CHECK, match, state.limits);
    pcre2_match_data_free(match);
    return rc >= 0;
}
