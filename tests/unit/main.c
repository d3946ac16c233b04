#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct {
    struct test *first;
    unsigned failures;
} state;

void test_register(struct test *t)
{
    struct test **at = &state.first;

    while (*at != NULL && strcmp((*at)->name, t->name) < 0)
        at = &(*at)->next;
    t->next = *at;
    *at = t;
}

void test_failed(const char *file, int line, const char *format, ...)
{
    va_list args;

    state.failures++;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

const char *test_suite_path(struct arena *a, const char *relative)
{
    const char *root = getenv("SUITES");

    return arena_printf(a, "%s/%s", root != NULL ? root : "../shared/suites", relative);
}

struct str test_read_file(struct arena *a, const char *path)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *text;
    size_t n = 0;

    if (fd < 0 || fstat(fd, &st) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    text = arena_bytes(a, (size_t)st.st_size + 1);
    while (n < (size_t)st.st_size) {
        ssize_t more = read(fd, text + n, (size_t)st.st_size - n);

        if (more <= 0)
            break;
        n += (size_t)more;
    }
    text[n] = '\0';
    return str_of(text, n);
}

static bool test_is_wanted(const struct test *t, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(t->name, argv[i], strlen(argv[i])) == 0)
            return true;
    }
    return argc == 1;
}

static bool has_servers(void)
{
    bool has = getenv("TEST_DATABASE_URL") != NULL && getenv("TEST_REDIS_URL") != NULL;

    if (!has && getenv("TEST_SERVERS") != NULL) {
        fprintf(stderr, "unit: tests/servers ran, but TEST_DATABASE_URL or TEST_REDIS_URL is not set\n");
        exit(2);
    }
    return has;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0, left_out = 0;
    bool servers = has_servers();

    for (struct test *t = state.first; t != NULL; t = t->next) {
        unsigned before = state.failures;
        struct arena a;

        if (!test_is_wanted(t, argc, argv))
            continue;
        if (t->needs_servers && !servers) {
            left_out++;
            continue;
        }
        arena_init(&a);
        t->run(&a);
        arena_fini(&a);
        if (state.failures == before) {
            passed++;
        } else {
            fprintf(stderr, "FAILED %s\n", t->name);
            failed++;
        }
    }
    if (left_out != 0)
        printf("unit: %u tests need servers and were left out (make test runs them)\n", left_out);
    printf("unit: %u passed, %u failed\n", passed, failed);
    return failed != 0 || passed + left_out == 0;
}
