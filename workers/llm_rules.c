#include "workers/llm_rules.h"

#include <curl/curl.h>

enum { RETRY_AFTER_MAX_MS = 60000, BACKOFF_FIRST_MS = 500, BACKOFF_MAX_MS = 8000, BACKOFF_DOUBLINGS_MAX = 4 };

bool llm_status_is_retried(int status)
{
    return status == 408 || status == 409 || status == 429 || status >= 500;
}

/* ---- when to retry ---- */

/* Decimal digits with an optional fraction, times scale, rounded up; -1: none, or far too large. */
static int64_t decimal_ms(struct str text, int64_t scale)
{
    struct str fraction = str_trim(text);
    struct str whole = str_cut(&fraction, '.');
    int64_t value = 0;
    bool has_rest = false;

    if (whole.n == 0 || whole.n > 9)
        return -1;
    for (size_t i = 0; i < whole.n; i++) {
        if (whole.p[i] < '0' || whole.p[i] > '9')
            return -1;
        value = value * 10 + (whole.p[i] - '0');
    }
    value *= scale;
    for (size_t i = 0; i < fraction.n; i++) {
        if (fraction.p[i] < '0' || fraction.p[i] > '9')
            return -1;
        scale /= 10;
        value += (fraction.p[i] - '0') * scale;
        has_rest = has_rest || (scale == 0 && fraction.p[i] != '0');
    }
    return value + has_rest;
}

static int64_t date_ms(struct str text, int64_t now_s)
{
    char date[64];
    time_t when;

    if (text.n == 0 || text.n >= sizeof(date))
        return -1;
    memcpy(date, text.p, text.n);
    date[text.n] = '\0';
    when = curl_getdate(date, NULL);
    if (when < 0)
        return -1;
    return when > now_s ? (when - now_s) * 1000 : 0;
}

int64_t llm_retry_delay_ms(struct str retry_after_ms, struct str retry_after, int64_t now_s, unsigned n,
                           uint32_t random)
{
    int64_t ms = decimal_ms(retry_after_ms, 1);

    if (ms < 0)
        ms = decimal_ms(retry_after, 1000);
    if (ms < 0)
        ms = date_ms(str_trim(retry_after), now_s);
    if (ms >= 0 && ms <= RETRY_AFTER_MAX_MS)
        return ms;
    ms = (int64_t)BACKOFF_FIRST_MS << (n < BACKOFF_DOUBLINGS_MAX ? n : BACKOFF_DOUBLINGS_MAX);
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    return ms - ms / 4 * (random % 1024) / 1023;
}

/* ---- parameters that are not supported ---- */

static ssize_t find_any_case(struct str text, struct str word)
{
    for (size_t i = 0; i + word.n <= text.n; i++) {
        if (str_ieq(str_of(text.p + i, word.n), word))
            return (ssize_t)i;
    }
    return -1;
}

static const struct str refusals[] = {
    STR_INIT("unsupported"),   STR_INIT("not support"),  STR_INIT("unrecognized"),     STR_INIT("unknown"),
    STR_INIT("not permitted"), STR_INIT("unexpected"),   STR_INIT("not allowed"),      STR_INIT("deprecated"),
    STR_INIT("extra fields"),  STR_INIT("extra inputs"), STR_INIT("only the default"),
};

static bool is_refusal(struct str text)
{
    for (size_t i = 0; i < nelem(refusals); i++) {
        if (find_any_case(text, refusals[i]) >= 0)
            return true;
    }
    return false;
}

static bool names(struct str words, struct str param, struct str name)
{
    return str_eq(param, name) || find_any_case(words, name) >= 0;
}

unsigned llm_quirk_named(const struct json *answer)
{
    const struct json *error = json_get(answer, STR("error"));
    struct str words = llm_error_text(answer);
    struct str param = json_get_text(error, STR("param"));

    if (find_any_case(words, STR("max_completion_tokens")) >= 0 && names(words, param, STR("max_tokens")))
        return LLM_MAX_COMPLETION_TOKENS;
    if (!is_refusal(words) && !is_refusal(json_get_text(error, STR("code"))))
        return 0;
    if (names(words, param, STR("stream_options")))
        return LLM_NO_STREAM_OPTIONS;
    return names(words, param, STR("temperature")) ? LLM_NO_TEMPERATURE : 0;
}

/* ---- words for people ---- */

static const struct str key_heads[] = {
    STR_INIT("sk-"), STR_INIT("sk_"),  STR_INIT("pk-"),    STR_INIT("gsk_"),    STR_INIT("xai-"),
    STR_INIT("hf_"), STR_INIT("AIza"), STR_INIT("nvapi-"), STR_INIT("Bearer "), STR_INIT("bearer "),
};

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_key_byte(char c)
{
    return is_word_byte(c) || (c != '\0' && strchr("-_*.~+/=", c) != NULL);
}

/* The length of a key at the front of text, or 0. Providers put stars or dots into what they echo. */
static size_t key_length(struct str text, struct str key, bool is_in_word)
{
    enum { KEY_REST_MIN = 6 };

    if (key.n >= KEY_REST_MIN && str_starts(text, key))
        return key.n;
    for (size_t i = 0; !is_in_word && i < nelem(key_heads); i++) {
        size_t n = key_heads[i].n;

        if (!str_starts(text, key_heads[i]))
            continue;
        while (n < text.n && is_key_byte(text.p[n]))
            n++;
        while (text.p[n - 1] == '.') /* the end of a sentence */
            n--;
        if (n >= key_heads[i].n + KEY_REST_MIN)
            return n;
    }
    return 0;
}

static struct str mask(struct arena *a, struct str words, struct str key)
{
    struct buf out;
    bool is_in_word = false; /* "task-force" holds no key */

    buf_init_arena(&out, a);
    while (words.n > 0) {
        size_t n = key_length(words, key, is_in_word);

        if (n > 0)
            buf_add(&out, STR("***"));
        else
            buf_add_byte(&out, (unsigned char)words.p[0] < ' ' || words.p[0] == 127 ? ' ' : words.p[0]);
        is_in_word = is_word_byte(words.p[0]);
        words = str_from_offset(words, n > 0 ? n : 1);
    }
    return buf_str(&out);
}

/* At most so many characters of valid UTF-8. */
static struct str head_characters(struct str text, size_t max)
{
    size_t n = 0;

    while (n < text.n) {
        if (((unsigned char)text.p[n] & 0xc0) != 0x80 && max-- == 0)
            return str_head(text, n);
        n++;
    }
    return text;
}

struct str llm_message(struct arena *a, struct str words, struct str key)
{
    if (!str_is_utf8(words))
        words = STR("the provider answered with an error that is not readable text");
    return head_characters(str_trim(mask(a, words, key)), LLM_MESSAGE_MAX);
}

struct str llm_answer_words(struct arena *a, int status, struct str body)
{
    const struct json *answer;
    struct json_error error;
    struct str words = STR_NONE;

    body = str_trim(body);
    if (json_parse(a, body, &answer, &error) == 0)
        words = json_is(answer, JSON_ARRAY) ? llm_error_text(json_at(answer, 0)) : llm_error_text(answer);
    else if (body.n != 0 && body.p[0] != '<')
        words = body;
    if (words.n != 0)
        return words;
    if (status >= 300 && status < 400)
        return arena_strf(a, "the provider answered with a redirect (HTTP %d), which is not followed",
                          status);
    return arena_strf(a, "the provider answered HTTP %d", status);
}
