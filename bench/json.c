/*
 * How fast JSON is read: MB/s for a text of 1 MB and one of 1 KB, side by side
 * with a scan of the same bytes, which is what memory allows, and with
 * libjansson, when it is installed. Prints the medians of several rounds, in
 * which the three take turns, as a JSON array.
 */
#include "base/json.h"

#include <dlfcn.h>
#include <time.h>

enum { ROUNDS = 9, ROUND_BYTES = 32 << 20, LARGE = 1 << 20, SMALL = 1 << 10 };

/* Loaded by hand: its names are ours too. */
static struct {
    void *(*loadb)(const char *text, size_t n, size_t flags, void *error);
    void (*delete)(void *value);
} jansson;

static void jansson_open(void)
{
    void *library = dlopen("libjansson.so.4", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);

    if (library == NULL)
        return;
    *(void **)&jansson.loadb = dlsym(library, "json_loadb");
    *(void **)&jansson.delete = dlsym(library, "json_delete");
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Chat messages as the server reads them all day: names, short texts, numbers, nesting. */
static void document_fill(struct buf *out, size_t bytes, bool pretty)
{
    const char *line = pretty ? "\n    " : "", *blank = pretty ? " " : "";

    buf_add_byte(out, '[');
    for (unsigned i = 0; buf_size(out) + 260 < bytes; i++) {
        buf_addf(
            out,
            "%s%s{\"id\":%s\"9f6b5c1e-3f0a-4a51-9d6f-%012u\",%s\"role\":%s\"assistant\",%s\"index\":%s%u,",
            i != 0 ? "," : "", line, blank, i, line, blank, line, blank, i);
        buf_addf(out, "%s\"content\":%s\"The quick brown fox said: \\\"%u\\\" and na\xc3\xafvely left.\",%s",
                 line, blank, i * 7, line);
        buf_addf(out, "\"usage\":%s{\"in\":%s%u,\"cost\":%s0.%05u},%s\"tools\":%s[\"a\",%snull,%strue]}",
                 blank, blank, i * 13, blank, i, line, blank, blank, blank);
    }
    buf_add(out, STR("]"));
}

static void run_json(struct str text)
{
    const struct json *v;
    struct json_error error;
    struct arena a;

    arena_init(&a);
    if (json_parse(&a, text, &v, &error) != 0)
        abort();
    arena_fini(&a);
}

static void run_jansson(struct str text)
{
    void *v = jansson.loadb(text.p, text.n, 0, NULL);

    if (v == NULL)
        abort();
    jansson.delete(v);
}

static void run_scan(struct str text)
{
    static volatile uint64_t sink;
    uint64_t sum = 0, eight;

    for (size_t i = 0; i + sizeof(eight) <= text.n; i += sizeof(eight)) {
        memcpy(&eight, text.p + i, sizeof(eight));
        sum += eight;
    }
    sink = sum;
    (void)sink;
}

static int double_compare(const void *l, const void *r)
{
    double left = *(const double *)l, right = *(const double *)r;

    return left < right ? -1 : left > right;
}

static double median_of(double *rates)
{
    qsort(rates, ROUNDS, sizeof(rates[0]), double_compare);
    return rates[ROUNDS / 2];
}

/* MB/s of one round. */
static double measure(void (*run)(struct str text), struct str text)
{
    size_t repeats = ROUND_BYTES / text.n;
    uint64_t start = now_ns();

    for (size_t i = 0; i < repeats; i++)
        run(text);
    return (double)(repeats * text.n) * 1e3 / (double)(now_ns() - start);
}

static void report(const char *name, size_t bytes, bool pretty)
{
    double own[ROUNDS], scan[ROUNDS], other[ROUNDS];
    struct buf text;

    buf_init(&text);
    document_fill(&text, bytes, pretty);
    for (int round = 0; round < ROUNDS; round++) {
        own[round] = measure(run_json, buf_str(&text));
        scan[round] = measure(run_scan, buf_str(&text));
        other[round] = jansson.loadb != NULL ? measure(run_jansson, buf_str(&text)) : 0;
    }
    printf("{\"name\":\"%s\",\"own\":%.1f,\"scan\":%.1f,\"jansson\":%.1f}", name, median_of(own), median_of(scan),
           median_of(other));
    buf_fini(&text);
}

int main(void)
{
    jansson_open();
    printf("[");
    report("1 MB compact", LARGE, false);
    printf(",");
    report("1 MB pretty", LARGE, true);
    printf(",");
    report("1 KB compact", SMALL, false);
    printf(",");
    report("1 KB pretty", SMALL, true);
    puts("]");
    return 0;
}
