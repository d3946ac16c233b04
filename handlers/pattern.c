#include "handlers/pattern.h"

#include "base/log.h"
#include "base/regex.h"

enum { PATTERNS_MAX = 256 };

/* Constants of the program, compiled: the same in every process and never freed. */
static struct {
    struct arena arena;
    struct {
        const char *text;
        struct regex *regex;
    } compiled[PATTERNS_MAX];
    size_t count;
} state;

static struct regex *pattern_compile(const char *pattern)
{
    struct regex *regex = NULL;
    struct str reason = STR("too many patterns");

    if (state.count == 0)
        arena_init(&state.arena);
    if (state.count == PATTERNS_MAX ||
        regex_compile(&state.arena, str_from(pattern), 0, &regex, &reason) < 0) {
        log_error("pattern", "'%s': " STR_FMT, pattern, STR_ARG(reason));
        abort(); /* a mistake in a constant table; the unit tests compile all of them */
    }
    state.compiled[state.count].text = pattern;
    state.compiled[state.count].regex = regex;
    state.count++;
    return regex;
}

static struct regex *pattern_find(const char *pattern)
{
    for (size_t i = 0; i < state.count; i++) {
        if (state.compiled[i].text == pattern)
            return state.compiled[i].regex;
    }
    return pattern_compile(pattern);
}

bool pattern_matches(const char *pattern, struct str text)
{
    struct regex_match match;

    return regex_search(pattern_find(pattern), text, 0, &match) > 0;
}
