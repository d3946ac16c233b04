/*
 * The settings: environment variables (names in any case) over the file .env in the
 * working directory over the defaults of base/conf.def. An empty value is unset.
 *
 *   port = conf.port;        whole numbers are int64_t, text is a slice, STR_NONE when unset
 *
 * A process reads them once, first thing, with conf_init(); they do not change afterwards.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include "base/buf.h"
#include "base/fernet.h"
#include "base/log.h"

enum { CONF_SECRET = 1, CONF_URL = 2, CONF_IDLE = 4 }; /* see conf.def */

struct conf_variable {
    struct str name, value;
};

struct conf_variables {
    struct conf_variable *items;
    size_t count;
};

/* One index per setting, in the order of the list. */
enum conf_index {
#define CONF_TITLE(text)
#define CONF_TEXT(field, fallback, rule, flags, help)        CONF_AT_##field,
#define CONF_WORD(field, fallback, words, flags, help)       CONF_AT_##field,
#define CONF_BOOL(field, fallback, flags, help)              CONF_AT_##field,
#define CONF_INT(field, fallback, least, most, flags, help)  CONF_AT_##field,
#define CONF_REAL(field, fallback, least, most, flags, help) CONF_AT_##field,
#define CONF_SIZE(field, fallback, least, most, flags, help) CONF_AT_##field,
#define CONF_ALIAS(alias, field)
#include "base/conf.def"
#include "base/conf_undef.h"
    CONF_COUNT
};

enum conf_source { CONF_DEFAULT, CONF_BUILT, CONF_FILE, CONF_ENVIRONMENT };

struct conf { /* in the order of the list. NOLINT(clang-analyzer-optin.performance.Padding) */
#define CONF_TITLE(text)
#define CONF_TEXT(field, fallback, rule, flags, help)        struct str field;
#define CONF_WORD(field, fallback, words, flags, help)       struct str field;
#define CONF_BOOL(field, fallback, flags, help)              bool field;
#define CONF_INT(field, fallback, least, most, flags, help)  int64_t field;
#define CONF_REAL(field, fallback, least, most, flags, help) double field;
#define CONF_SIZE(field, fallback, least, most, flags, help) int64_t field;
#define CONF_ALIAS(alias, field)
#include "base/conf.def"
#include "base/conf_undef.h"

    /* Derived. */
    struct str database_direct_url; /* DATABASE_URL with DATABASE_DIRECT_HOST, if that is set */
    struct fernet_key fernet;       /* from ENCRYPTION_KEY */
    enum log_level log_least;

    unsigned char sources[CONF_COUNT]; /* enum conf_source */
    struct conf_variables environment, file;
    struct arena arena; /* owns all texts */
};

extern struct conf conf;

/* Fills conf from the process's environment and .env. 0, or -EINVAL and why: names and rules, never values.
 */
MUST_USE int conf_init(struct str *reason);

/*
 * What the server refuses to start with (spec 10 §17, step 1). 0 or -EINVAL;
 * *complaint is the reason, with 0 a warning (DEBUG=true), or STR_NONE.
 */
MUST_USE int conf_check(struct conf *c, struct str *complaint);

/* The pure halves of conf_init(). conf_read() copies what it keeps; conf_fini() frees it. */
MUST_USE int conf_read(struct conf *c, const struct conf_variables *environment,
                       const struct conf_variables *file, struct str *reason);
void conf_fini(struct conf *c);
/* The syntax of .env; see conf_file.c. 0, or -EINVAL and the number of the line. */
MUST_USE int conf_file_parse(struct arena *a, struct str text, struct conf_variables *variables,
                             unsigned *line);

/* Any variable by its exact name, also one that is no setting: environment, then .env; or STR_NONE. */
struct str conf_variable(const struct conf *c, struct str name);

/* Name, value and source of every setting; secrets only as (set) or (unset). */
void conf_print(FILE *out, const struct conf *c);

/* A file for `sinas init`: fresh keys, and every other setting with its default as a comment. */
void conf_init_text(struct buf *out);

#endif
