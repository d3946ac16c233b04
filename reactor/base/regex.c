/*
 * PCRE2's own match limit holds per start offset, so a search over a long
 * subject could take that many times as long, and it does not count the length
 * of what one item skips. So the pattern is compiled with callouts between its
 * items; they count, by the distance the search moved, over the whole search.
 */
#include "base/regex.h"

#include "base/buf.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    STEPS_MAX = 1000000, /* of one search */
    MATCH_LIMIT = 1000000,
    DEPTH_LIMIT = 50000,
    HEAP_LIMIT_KIB = 8192,
    NESTING_MAX = 24,        /* parentheses: PCRE2 compiles them by recursion */
    JIT_AFTER = 8,           /* searches, before machine code is worth its making */
    JIT_CODE_MAX = 2048,     /* bytes of a compiled pattern; larger ones take milliseconds */
    JIT_STEPS_PER_BYTE = 25, /* what making it costs */
    JIT_STACK_FIRST = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024,
};

struct regex {
    pcre2_code *code;
    size_t code_size;
    unsigned searches;
    bool has_references;
};

/* What searches need for their duration only; made once per process. */
static struct {
    pcre2_compile_context *compile;
    pcre2_match_context *match;
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
} scratch;

static void *check(void *p)
{
    if (p == NULL)
        abort(); /* out of memory */
    return p;
}

static void scratch_init(void)
{
    if (scratch.compile != NULL)
        return;
    scratch.compile = check(pcre2_compile_context_create(NULL));
    pcre2_set_parens_nest_limit(scratch.compile, NESTING_MAX);
    pcre2_set_newline(scratch.compile, PCRE2_NEWLINE_ANYCRLF);
    pcre2_set_compile_extra_options(scratch.compile, PCRE2_EXTRA_ALT_BSUX);
    scratch.match = check(pcre2_match_context_create(NULL));
    pcre2_set_match_limit(scratch.match, MATCH_LIMIT);
    pcre2_set_depth_limit(scratch.match, DEPTH_LIMIT);
    pcre2_set_heap_limit(scratch.match, HEAP_LIMIT_KIB);
    scratch.data = check(pcre2_match_data_create(1, NULL));
    scratch.stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
    if (scratch.stack != NULL)
        pcre2_jit_stack_assign(scratch.match, NULL, scratch.stack);
}

/* ---- From ECMAScript to PCRE2 ---- */

/* The long names of general categories; PCRE2 knows the short ones and the scripts. */
static const struct {
    struct str name, shortened;
} categories[] = {
    {STR_INIT("Cased_Letter"), STR_INIT("L&")},
    {STR_INIT("Close_Punctuation"), STR_INIT("Pe")},
    {STR_INIT("Connector_Punctuation"), STR_INIT("Pc")},
    {STR_INIT("Control"), STR_INIT("Cc")},
    {STR_INIT("Currency_Symbol"), STR_INIT("Sc")},
    {STR_INIT("Dash_Punctuation"), STR_INIT("Pd")},
    {STR_INIT("Decimal_Number"), STR_INIT("Nd")},
    {STR_INIT("Enclosing_Mark"), STR_INIT("Me")},
    {STR_INIT("Final_Punctuation"), STR_INIT("Pf")},
    {STR_INIT("Format"), STR_INIT("Cf")},
    {STR_INIT("Initial_Punctuation"), STR_INIT("Pi")},
    {STR_INIT("Letter"), STR_INIT("L")},
    {STR_INIT("Letter_Number"), STR_INIT("Nl")},
    {STR_INIT("Line_Separator"), STR_INIT("Zl")},
    {STR_INIT("Lowercase_Letter"), STR_INIT("Ll")},
    {STR_INIT("Mark"), STR_INIT("M")},
    {STR_INIT("Math_Symbol"), STR_INIT("Sm")},
    {STR_INIT("Modifier_Letter"), STR_INIT("Lm")},
    {STR_INIT("Modifier_Symbol"), STR_INIT("Sk")},
    {STR_INIT("Nonspacing_Mark"), STR_INIT("Mn")},
    {STR_INIT("Number"), STR_INIT("N")},
    {STR_INIT("Open_Punctuation"), STR_INIT("Ps")},
    {STR_INIT("Other"), STR_INIT("C")},
    {STR_INIT("Other_Letter"), STR_INIT("Lo")},
    {STR_INIT("Other_Number"), STR_INIT("No")},
    {STR_INIT("Other_Punctuation"), STR_INIT("Po")},
    {STR_INIT("Other_Symbol"), STR_INIT("So")},
    {STR_INIT("Paragraph_Separator"), STR_INIT("Zp")},
    {STR_INIT("Private_Use"), STR_INIT("Co")},
    {STR_INIT("Punctuation"), STR_INIT("P")},
    {STR_INIT("Separator"), STR_INIT("Z")},
    {STR_INIT("Space_Separator"), STR_INIT("Zs")},
    {STR_INIT("Spacing_Mark"), STR_INIT("Mc")},
    {STR_INIT("Symbol"), STR_INIT("S")},
    {STR_INIT("Titlecase_Letter"), STR_INIT("Lt")},
    {STR_INIT("Unassigned"), STR_INIT("Cn")},
    {STR_INIT("Uppercase_Letter"), STR_INIT("Lu")},
    {STR_INIT("digit"), STR_INIT("Nd")},
    {STR_INIT("punct"), STR_INIT("P")},
};

static struct str property_name(struct str name)
{
    static const struct str prefixes[] = {
        STR_INIT("General_Category="),  STR_INIT("gc="),  STR_INIT("Script="),
        STR_INIT("Script_Extensions="), STR_INIT("scx="), STR_INIT("sc="),
    };

    for (size_t i = 0; i < nelem(prefixes); i++) {
        if (str_starts(name, prefixes[i]))
            name = str_from_offset(name, prefixes[i].n);
    }
    for (size_t i = 0; i < nelem(categories); i++) {
        if (str_eq(name, categories[i].name))
            return categories[i].shortened;
    }
    return name;
}

/* Translates the escape at the head of rest; returns its length. */
static size_t escape_translate(struct buf *out, struct str rest, bool in_class)
{
    char letter = rest.n > 1 ? rest.p[1] : '\0';
    ssize_t close;

    if ((letter == 'p' || letter == 'P') && rest.n > 2 && rest.p[2] == '{') {
        close = str_find_byte(rest, '}');
        if (close > 0) {
            struct str name = property_name(str_of(rest.p + 3, (size_t)close - 3));

            buf_addf(out, "\\%c{" STR_FMT "}", letter, STR_ARG(name));
            return (size_t)close + 1;
        }
    }
    if (letter == 's' || (letter == 'S' && !in_class)) { /* white space of all scripts */
        buf_add(out, in_class ? STR("") : letter == 's' ? STR("[") : STR("[^"));
        buf_add(out, STR("\\s\\h\\v\\ufeff"));
        buf_add(out, in_class ? STR("") : STR("]"));
        return 2;
    }
    buf_add(out, str_head(rest, rest.n > 1 ? 2 : 1));
    return rest.n > 1 ? 2 : 1;
}

/* False when the pattern has a "(*", which is no ECMAScript and could change our limits. */
static bool pattern_translate(struct buf *out, struct str pattern)
{
    bool in_class = false;

    for (size_t i = 0; i < pattern.n;) {
        char c = pattern.p[i];

        if (c == '\\') {
            i += escape_translate(out, str_from_offset(pattern, i), in_class);
            continue;
        }
        if (c == '(' && !in_class && i + 1 < pattern.n && pattern.p[i + 1] == '*')
            return false;
        if (c == '[' || c == ']')
            in_class = c == '[';
        buf_add_byte(out, c);
        i++;
    }
    return true;
}

/* ---- Compiling ---- */

static void code_free(void *code)
{
    pcre2_code_free(code);
}

static int refuse(struct arena *a, struct str *reason, const char *text)
{
    *reason = arena_strf(a, "%s", text);
    return -EINVAL;
}

int regex_compile(struct arena *a, struct str pattern, unsigned flags, struct regex **compiled,
                  struct str *reason)
{
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_AUTO_CALLOUT | PCRE2_DOLLAR_ENDONLY |
                       PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_ALT_BSUX;
    PCRE2_UCHAR text[128];
    PCRE2_SIZE offset;
    uint32_t references = 0;
    struct buf translated;
    pcre2_code *code;
    int error;

    if (pattern.n > REGEX_PATTERN_MAX)
        return refuse(a, reason, "the pattern is too long");
    if (!str_is_utf8(pattern))
        return refuse(a, reason, "the pattern is not UTF-8");
    scratch_init();
    buf_init_arena(&translated, a);
    if (!pattern_translate(&translated, pattern))
        return refuse(a, reason, "quantifier does not follow a repeatable item");
    if ((flags & REGEX_IGNORE_CASE) != 0)
        options |= PCRE2_CASELESS;
    if ((flags & REGEX_WHOLE) != 0)
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    code = pcre2_compile((PCRE2_SPTR)buf_str(&translated).p, buf_size(&translated), options, &error, &offset,
                         scratch.compile);
    if (code == NULL) {
        (void)pcre2_get_error_message(error, text, sizeof(text));
        return refuse(a, reason, (const char *)text);
    }
    arena_defer(a, code_free, code);
    (void)pcre2_pattern_info(code, PCRE2_INFO_BACKREFMAX, &references);
    *compiled = arena_zalloc(a, sizeof(**compiled));
    (*compiled)->code = code;
    (void)pcre2_pattern_info(code, PCRE2_INFO_SIZE, &(*compiled)->code_size);
    (*compiled)->has_references = references != 0;
    return 0;
}

/* ---- Searching ---- */

struct meter {
    size_t steps;
    size_t each; /* steps for every callout */
    size_t at;   /* where the last one was */
};

static int on_callout(pcre2_callout_block *block, void *data)
{
    struct meter *m = data;
    size_t at = block->current_position;

    m->steps += m->each + (at > m->at ? at - m->at : m->at - at);
    m->at = at;
    return m->steps > STEPS_MAX ? PCRE2_ERROR_MATCHLIMIT : 0;
}

int regex_search(struct regex *r, struct str subject, size_t from, struct regex_match *match)
{
    struct meter meter = {.each = 1, .at = from};
    size_t jit_steps = 0;
    PCRE2_SIZE *where;
    int rc;

    assert(from <= subject.n);
    if (r->has_references) /* comparing with what a group matched costs by its length */
        meter.each += subject.n / 16;
    if (++r->searches == JIT_AFTER && r->code_size <= JIT_CODE_MAX) {
        (void)pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it, the interpreter goes on */
        jit_steps = r->code_size * JIT_STEPS_PER_BYTE;
    }
    pcre2_set_callout(scratch.match, on_callout, &meter);
    rc = pcre2_match(r->code, (PCRE2_SPTR)(subject.n != 0 ? subject.p : ""), subject.n, from, 0, scratch.data,
                     scratch.match);
    match->steps = jit_steps + meter.steps + (subject.n - from) / 16;
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    if (rc < 0)
        return -E2BIG;
    where = pcre2_get_ovector_pointer(scratch.data);
    match->start = where[0];
    match->end = where[1];
    return 1;
}
