#include "workers/llm_codec.h"

#include "base/hash.h"
#include "workers/llm_anthropic.h"
#include "workers/llm_mistral.h"
#include "workers/llm_ollama.h"
#include "workers/llm_openai.h"

static const struct llm_codec *const llm_codecs[] = {
    &llm_openai,
    &llm_mistral,
    &llm_anthropic,
    &llm_ollama,
};

const struct llm_codec *llm_codec_find(struct str type)
{
    for (size_t i = 0; i < nelem(llm_codecs); i++) {
        if (str_eq(llm_codecs[i]->type, type))
            return llm_codecs[i];
    }
    return NULL;
}

struct str llm_error_text(const struct json *answer)
{
    const struct json *error = json_get(answer, STR("error"));
    struct str text = json_get_text(error, STR("message"));

    if (text.n == 0)
        text = json_text(error);
    if (text.n == 0)
        text = json_get_text(answer, STR("message"));
    if (text.n == 0)
        text = json_get_text(answer, STR("detail"));
    return text.n != 0 ? text : STR_NONE;
}

bool llm_header_is_fit(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 127)
            return false;
    }
    return true;
}

void llm_http_header(struct llm_http *http, struct str header)
{
    assert(http->headers_count < LLM_HEADERS_MAX);
    if (llm_header_is_fit(header))
        http->headers[http->headers_count++] = header;
}

void llm_http_headers(struct arena *a, struct llm_http *http, struct str key)
{
    llm_http_header(http, STR("Content-Type: application/json"));
    if (key.n != 0)
        llm_http_header(http, arena_strf(a, "Authorization: Bearer " STR_FMT, STR_ARG(key)));
}

struct str llm_url(struct arena *a, struct str base, struct str path)
{
    return arena_strf(a, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(path));
}

struct str llm_id_hashed(struct arena *a, struct str id, size_t n)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    struct hash digest = hash_sha256(id);
    char *text = arena_bytes(a, n);

    assert(n <= HASH_SIZE);
    for (size_t i = 0; i < n; i++)
        text[i] = digits[digest.bytes[i] % (sizeof(digits) - 1)];
    return str_of(text, n);
}
