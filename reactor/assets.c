#include "assets.h"

#include "base/hash.h"
#include "base/log.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

enum { VERSION_DIGITS = 16 };

/* All of an open file; or -errno, -EFBIG. */
static int file_read(struct arena *a, int fd, struct str *bytes)
{
    struct stat info;
    size_t n = 0;
    char *p;

    if (fstat(fd, &info) < 0)
        return -errno;
    if (!S_ISREG(info.st_mode))
        return -EINVAL;
    if (info.st_size > ASSET_BYTES_MAX)
        return -EFBIG;
    p = arena_bytes(a, (size_t)info.st_size + 1);
    while (n < (size_t)info.st_size) {
        ssize_t got = read(fd, p + n, (size_t)info.st_size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -EIO; /* it was cut while we read */
        n += (size_t)got;
    }
    *bytes = str_of(p, n);
    return 0;
}

static int asset_load(struct arena *a, struct asset *asset, const char *directory)
{
    const char *path = arena_printf(a, "%s/%s", directory, asset->name);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct str bytes = STR_NONE;
    int rc;

    if (fd < 0)
        return -errno;
    rc = file_read(a, fd, &bytes);
    if (rc < 0)
        return rc;
    asset->bytes = bytes;
    asset->version = str_head(hash_sha256_hex(a, bytes), VERSION_DIGITS);
    return 0;
}

size_t assets_load_from(struct arena *a, struct asset *assets, size_t count, const char *directory)
{
    size_t missing = 0;

    for (size_t i = 0; i < count; i++) {
        int rc = asset_load(a, &assets[i], directory);

        if (rc < 0)
            log_warn("assets", "%s/%s: %s", directory, assets[i].name, strerror(-rc));
        missing += rc < 0;
    }
    return missing;
}

/* Where the program's file lies; STR_NONE when that cannot be told. */
static struct str program_directory(struct arena *a)
{
    char *path = arena_bytes(a, PATH_MAX);
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX), slash;

    if (n <= 0 || n == PATH_MAX)
        return STR_NONE;
    slash = str_rfind_byte(str_of(path, (size_t)n), '/');
    return slash < 0 ? STR_NONE : str_of(path, (size_t)slash);
}

size_t assets_load(struct arena *a, struct asset *assets, size_t count, const char *const *directories,
                   size_t directories_count)
{
    struct str program = program_directory(a);

    for (size_t i = 0; i < directories_count && !str_is_none(program); i++) {
        const char *directory = arena_printf(a, STR_FMT "/%s", STR_ARG(program), directories[i]);

        if (access(directory, X_OK) == 0)
            return assets_load_from(a, assets, count, directory);
    }
    return count;
}

const struct asset *assets_find(const struct asset *assets, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(name, str_from(assets[i].name)))
            return &assets[i];
    }
    return NULL;
}

/* ---- answering ---- */

/* Whether one of the versions that the client has is this one; weak or strong makes no difference to GET. */
static bool client_has(const struct req *r, struct str tag)
{
    struct str known = header(r, "if-none-match");

    return known.n != 0 && (str_eq(known, STR("*")) || str_find(known, tag) >= 0);
}

int asset_reply(struct req *r, const char *content_type, struct str bytes, struct str version)
{
    struct str tag = arena_strf(&r->arena, "\"" STR_FMT "\"", STR_ARG(version));

    reply_header(r, "ETag", tag);
    if (client_has(r, tag))
        return reply_empty(r, 304);
    (void)reply_text(r, 200, content_type, STR(""));
    /* Full, so that whoever adds to it gets memory of the arena's. */
    r->answer = (struct buf){.p = (char *)bytes.p, .end = bytes.n, .capacity = bytes.n, .arena = &r->arena};
    return 0;
}
