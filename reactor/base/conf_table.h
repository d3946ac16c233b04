/* The list of settings as a table, for those who treat them all alike: conf.c and conf_print.c. */
#ifndef BASE_CONF_TABLE_H
#define BASE_CONF_TABLE_H

#include "base/conf.h"

enum conf_type {
    CONF_TYPE_TEXT,
    CONF_TYPE_WORD,
    CONF_TYPE_BOOL,
    CONF_TYPE_INT,
    CONF_TYPE_REAL,
    CONF_TYPE_SIZE,
    CONF_TYPE_TITLE, /* no setting: a heading in field */
    CONF_TYPE_ALIAS  /* another name for the setting at index */
};

/* A further demand on a text. It may replace the text by its normal form. */
struct conf_rule {
    bool (*holds)(struct arena *a, struct str *value);
    const char *text; /* "must be …" */
};

struct conf_row {
    enum conf_type type;
    unsigned char index; /* enum conf_index */
    const char *field;   /* the variable's name in lower case */
    size_t offset;       /* in struct conf */
    const char *fallback;
    double least, most;
    const char *words;
    const struct conf_rule *rule;
    unsigned flags;
    const char *help;
};

extern const struct conf_row conf_rows[];
extern const size_t conf_rows_count;

enum { CONF_NAME_SIZE = 48 };
/* The variable's name as people write it. */
const char *conf_name(const struct conf_row *row, char out[CONF_NAME_SIZE]);

#endif
