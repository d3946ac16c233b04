#include "base/conf_table.h"

#include "base/rand.h"

static bool row_is_setting(const struct conf_row *row)
{
    return row->type != CONF_TYPE_TITLE && row->type != CONF_TYPE_ALIAS;
}

static bool row_is_text(const struct conf_row *row)
{
    return row->type == CONF_TYPE_TEXT || row->type == CONF_TYPE_WORD;
}

/*
 * A URL with *** in place of the password. It ends at the last @ of all: a password
 * that should have been escaped is hidden too, at worst with more than itself.
 */
static struct str mask_url(struct arena *a, struct str url)
{
    ssize_t scheme = str_find(url, STR("://"));
    size_t start = scheme >= 0 ? (size_t)scheme + 3 : 0;
    struct str rest = str_from_offset(url, start);
    ssize_t at = str_rfind_byte(rest, '@');
    ssize_t colon = at >= 0 ? str_find_byte(str_head(rest, (size_t)at), ':') : -1;

    if (colon < 0)
        return url;
    return arena_strf(a, STR_FMT ":***" STR_FMT, STR_ARG(str_head(url, start + (size_t)colon)),
                      STR_ARG(str_from_offset(rest, (size_t)at)));
}

/* The password of a URL's query part. */
static struct str mask_query(struct arena *a, struct str url)
{
    ssize_t query = str_find_byte(url, '?');
    struct str rest;
    struct buf out;

    if (query < 0)
        return url;
    rest = str_from_offset(url, (size_t)query + 1);
    buf_init_arena(&out, a);
    buf_add(&out, str_head(url, (size_t)query));
    for (char separator = '?'; !str_is_none(rest); separator = '&') {
        struct str pair = str_cut(&rest, '&');
        struct str value = pair;
        struct str name = str_cut(&value, '=');

        buf_add_byte(&out, separator);
        if (str_is_none(value)) {
            buf_add(&out, name);
            continue;
        }
        buf_addf(&out, STR_FMT "=", STR_ARG(name));
        buf_add(&out,
                str_ieq(name, STR("password")) || str_ieq(name, STR("sslpassword")) ? STR("***") : value);
    }
    return buf_str(&out);
}

/* A terminal obeys control characters. */
static struct str printable(struct arena *a, struct str s)
{
    char *copy = arena_cstr(a, s);

    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)copy[i] < 0x20 || copy[i] == 0x7f)
            copy[i] = '?';
    }
    return str_of(copy, s.n);
}

static struct str value_text(struct arena *a, const struct conf *c, const struct conf_row *row)
{
    const void *field = (const char *)c + row->offset;

    switch (row->type) {
    case CONF_TYPE_TEXT:
    case CONF_TYPE_WORD:
        if (((const struct str *)field)->n == 0)
            return STR("(unset)");
        if (row->flags & CONF_URL)
            return printable(a, mask_query(a, mask_url(a, *(const struct str *)field)));
        return printable(a, *(const struct str *)field);
    case CONF_TYPE_BOOL:
        return *(const bool *)field ? STR("true") : STR("false");
    case CONF_TYPE_INT:
    case CONF_TYPE_SIZE:
        return arena_strf(a, "%" PRId64, *(const int64_t *)field);
    case CONF_TYPE_REAL:
        return arena_strf(a, "%g", *(const double *)field);
    case CONF_TYPE_TITLE:
    case CONF_TYPE_ALIAS:
        break;
    }
    abort();
}

static const char *source_text(const struct conf *c, const struct conf_row *row)
{
    switch ((enum conf_source)c->sources[row->index]) {
    case CONF_DEFAULT:
        return "default";
    case CONF_BUILT:
        return "built";
    case CONF_FILE:
        return ".env";
    case CONF_ENVIRONMENT:
        return "environment";
    }
    abort();
}

static void print_row(FILE *out, struct arena *a, const struct conf *c, const struct conf_row *row)
{
    char name[CONF_NAME_SIZE];
    bool is_given = c->sources[row->index] != CONF_DEFAULT;
    struct str value;

    if (row->flags & CONF_SECRET) /* also hides the development key behind an unset SECRET_KEY */
        value = is_given ? STR("(set)") : STR("(unset)");
    else
        value = value_text(a, c, row);
    fprintf(out, "%-33s " STR_FMT "  # %s", conf_name(row, name), STR_ARG(value), source_text(c, row));
    if (is_given && row->fallback != NULL)
        fprintf(out, ", default %s", row->fallback);
    fputc('\n', out);
}

void conf_print(FILE *out, const struct conf *c)
{
    struct arena scratch;

    arena_init(&scratch);
    for (size_t i = 0; i < conf_rows_count; i++) {
        const struct conf_row *row = &conf_rows[i];

        if (row->type == CONF_TYPE_TITLE)
            fprintf(out, "%s# %s\n", i != 0 ? "\n" : "", row->field);
        else if (row_is_setting(row))
            print_row(out, &scratch, c, row);
    }
    arena_fini(&scratch);
}

/* A fresh value for the three settings that nothing can start without, or STR_NONE. */
static struct str fresh_value(struct arena *a, const struct conf_row *row)
{
    switch (row->index) {
    case CONF_AT_secret_key:
    case CONF_AT_database_password:
        return rand_token(a);
    case CONF_AT_encryption_key:
        return fernet_key_new(a);
    default:
        return STR_NONE;
    }
}

static void add_setting(struct buf *out, struct arena *a, const struct conf_row *row)
{
    struct str fresh = fresh_value(a, row);
    const char *fallback = row->fallback != NULL ? row->fallback : "";
    char name[CONF_NAME_SIZE];

    buf_addf(out, "# %s%s%s\n", row->help, row->words != NULL ? "; one of: " : "",
             row->words != NULL ? row->words : "");
    if (!str_is_none(fresh))
        buf_addf(out, "%s=" STR_FMT "\n", conf_name(row, name), STR_ARG(fresh));
    else if (row_is_text(row) && strpbrk(fallback, " #'\"\\") != NULL)
        buf_addf(out, "#%s='%s'\n", conf_name(row, name), fallback);
    else
        buf_addf(out, "#%s=%s\n", conf_name(row, name), fallback);
}

/* Whether the group at i has anything that this server reads. */
static bool title_is_needed(size_t i)
{
    for (i++; i < conf_rows_count && conf_rows[i].type != CONF_TYPE_TITLE; i++) {
        if (row_is_setting(&conf_rows[i]) && !(conf_rows[i].flags & CONF_IDLE))
            return true;
    }
    return false;
}

void conf_init_text(struct buf *out)
{
    struct arena scratch;

    arena_init(&scratch);
    buf_add(out,
            STR("# Settings of sinas. The real environment wins over this file; a line that begins with # "
                "shows a default.\n# The keys are fresh. Keep them: without ENCRYPTION_KEY stored "
                "secrets cannot be read again.\n"));
    for (size_t i = 0; i < conf_rows_count; i++) {
        const struct conf_row *row = &conf_rows[i];

        if (row->type == CONF_TYPE_TITLE) {
            if (title_is_needed(i))
                buf_addf(out, "\n# --- %s ---\n", row->field);
        } else if (row_is_setting(row) && !(row->flags & CONF_IDLE)) {
            add_setting(out, &scratch, row);
        }
    }
    arena_fini(&scratch);
}
