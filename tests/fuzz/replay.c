/*
 * Gives a fuzz target the files of a corpus, so that every build, whatever its
 * compiler and sanitizers, tries them:  replay_fuzz_json DIRECTORY
 */
#include "base/arena.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str replay_read(struct arena *a, const char *path)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *bytes;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return STR_NONE;
    bytes = arena_bytes(a, (size_t)st.st_size + 1);
    n = read(fd, bytes, (size_t)st.st_size);
    return n == st.st_size ? str_of(bytes, (size_t)n) : STR_NONE;
}

/* In memory of exactly its size, so that a sanitizer sees a read behind it. */
static void replay_try(struct str input)
{
    char *bytes = mem_alloc(input.n);

    if (input.n != 0)
        memcpy(bytes, input.p, input.n);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)bytes, input.n);
    free(bytes);
}

int main(int argc, char **argv)
{
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    unsigned count = 0;

    if (directory == NULL) {
        fprintf(stderr, "usage: replay DIRECTORY\n");
        return 2;
    }
    while ((entry = readdir(directory)) != NULL) {
        struct arena a;
        struct str input;

        arena_init(&a);
        input = replay_read(&a, arena_printf(&a, "%s/%s", argv[1], entry->d_name));
        if (!str_is_none(input)) {
            replay_try(input);
            count++;
        }
        arena_fini(&a);
    }
    (void)closedir(directory);
    printf("%s: %u passed, 0 failed\n", argv[1], count);
    return count == 0;
}
