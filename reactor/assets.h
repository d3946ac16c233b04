/*
 * Files that are served as they are: a fixed list of names, read into memory at
 * start. No request ever names a path, and none waits for a disk.
 */
#ifndef REACTOR_ASSETS_H
#define REACTOR_ASSETS_H

#include "req.h"

enum { ASSET_BYTES_MAX = 16 << 20 };

struct asset {
    const char *name;
    const char *content_type;
    struct str bytes;   /* STR_NONE: the file is not there */
    struct str version; /* changes with the bytes */
};

/*
 * Reads what is there from the first of the directories that exists; they are relative to the program's own.
 * The bytes live in the arena. How many files are missing.
 */
size_t assets_load(struct arena *a, struct asset *assets, size_t count, const char *const *directories,
                   size_t directories_count);
/* The same from one directory. */
size_t assets_load_from(struct arena *a, struct asset *assets, size_t count, const char *directory);

/* NULL for a name that is not in the list. */
const struct asset *assets_find(const struct asset *assets, size_t count, struct str name);

/*
 * Answers with bytes that outlive every request: they are not copied, however slowly a client reads. 304 when
 * the client has this version already.
 */
int asset_reply(struct req *r, const char *content_type, struct str bytes, struct str version);

#endif
