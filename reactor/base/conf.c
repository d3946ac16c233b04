#include "base/conf.h"

#include "base/conf_table.h"
#include "base/hash.h"
#include "base/scalar.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

enum { CONF_FILE_MAX = 1 << 20, CONF_SECRET_KEY_MIN = 16 };

struct conf conf;

/* Rules of texts. */

static bool holds_always(struct arena *a UNUSED, struct str *value UNUSED)
{
    return true;
}

static bool holds_fernet_key(struct arena *a UNUSED, struct str *value)
{
    struct fernet_key key;
    bool holds = fernet_key_parse(&key, *value) == 0;

    sodium_memzero(&key, sizeof(key));
    return holds;
}

static bool holds_postgres_url(struct arena *a UNUSED, struct str *value)
{
    return str_starts(*value, STR("postgres://")) || str_starts(*value, STR("postgresql://"));
}

static bool holds_redis_url(struct arena *a UNUSED, struct str *value)
{
    return str_starts(*value, STR("redis://")) || str_starts(*value, STR("rediss://")) ||
           str_starts(*value, STR("unix://"));
}

static bool holds_http_url(struct arena *a UNUSED, struct str *value)
{
    return str_starts(*value, STR("http://")) || str_starts(*value, STR("https://"));
}

static bool holds_email(struct arena *a, struct str *value)
{
    const struct scalar_error *error;

    return scalar_str_email(a, *value, value, &error) == 0;
}

static const struct conf_rule conf_rule_any = {holds_always, "must be text"};
static const struct conf_rule conf_rule_fernet_key = {
    holds_fernet_key, "must be 32 bytes as URL-safe base64 with padding (44 characters)"};
static const struct conf_rule conf_rule_postgres_url = {holds_postgres_url,
                                                        "must begin with postgres:// or postgresql://"};
static const struct conf_rule conf_rule_redis_url = {holds_redis_url,
                                                     "must begin with redis://, rediss:// or unix://"};
static const struct conf_rule conf_rule_http_url = {holds_http_url, "must begin with http:// or https://"};
static const struct conf_rule conf_rule_email = {holds_email, "must be an e-mail address"};

/* The table. */

#define ROW(row_type, name, ...)                                                                             \
    {.type = CONF_TYPE_##row_type,                                                                           \
     .index = CONF_AT_##name,                                                                                \
     .field = #name,                                                                                         \
     .offset = offsetof(struct conf, name),                                                                  \
     __VA_ARGS__},
#define NUMBER(type, field, default_text, low, high, flag_bits, help_text)                                   \
    ROW(type, field, .fallback = default_text, .least = low, .most = high, .flags = flag_bits,               \
        .help = help_text)
#define CONF_TITLE(text) {.type = CONF_TYPE_TITLE, .field = text},
#define CONF_TEXT(field, value, rule_name, flag_bits, help_text)                                             \
    ROW(TEXT, field, .fallback = value, .rule = &conf_rule_##rule_name, .flags = flag_bits, .help = help_text)
#define CONF_WORD(field, value, word_list, flag_bits, help_text)                                             \
    ROW(WORD, field, .fallback = value, .words = word_list, .flags = flag_bits, .help = help_text)
#define CONF_BOOL(field, value, flag_bits, help_text)                                                        \
    ROW(BOOL, field, .fallback = #value, .flags = flag_bits, .help = help_text)
#define CONF_INT(field, value, least, most, flags, help) NUMBER(INT, field, #value, least, most, flags, help)
#define CONF_REAL(field, value, least, most, flags, help)                                                    \
    NUMBER(REAL, field, #value, least, most, flags, help)
#define CONF_SIZE(field, value, least, most, flags, help)                                                    \
    NUMBER(SIZE, field, #value, least, most, flags, help)
#define CONF_ALIAS(alias, name) {.type = CONF_TYPE_ALIAS, .index = CONF_AT_##name, .field = #alias},

const struct conf_row conf_rows[] = {
#include "base/conf.def"
};
const size_t conf_rows_count = nelem(conf_rows);

#include "base/conf_undef.h"

const char *conf_name(const struct conf_row *row, char out[CONF_NAME_SIZE])
{
    size_t n = 0;

    for (; row->field[n] != '\0' && n < CONF_NAME_SIZE - 1; n++) {
        char c = row->field[n];

        out[n] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    out[n] = '\0';
    return out;
}

/* One value. */

static bool is_word(const char *words, struct str value)
{
    struct str rest = str_from(words);

    while (!str_is_none(rest)) {
        if (str_eq(str_cut(&rest, ' '), value))
            return true;
    }
    return false;
}

/* A number of bytes: 1048576, 512k, 512M, 1g, 1GB. */
static int size_parse(struct str s, int64_t *value)
{
    static const struct {
        struct str unit;
        int64_t factor;
    } units[] = {
        {STR_INIT("k"), 1 << 10},  {STR_INIT("kb"), 1 << 10}, {STR_INIT("m"), 1 << 20},
        {STR_INIT("mb"), 1 << 20}, {STR_INIT("g"), 1 << 30},  {STR_INIT("gb"), 1 << 30},
        {STR_INIT(""), 1},         {STR_INIT("b"), 1},
    };
    size_t digits = 0;

    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    if (digits == 0 || str_to_i64(str_head(s, digits), value) < 0)
        return -EINVAL;
    for (size_t i = 0; i < nelem(units); i++) {
        if (str_ieq(units[i].unit, str_from_offset(s, digits)))
            return __builtin_mul_overflow(*value, units[i].factor, value) ? -EINVAL : 0;
    }
    return -EINVAL;
}

static bool is_within(const struct conf_row *row, double value)
{
    return value >= row->least && value <= row->most;
}

/* Reads value into its field. 0 or -EINVAL. */
static int conf_set(struct conf *c, const struct conf_row *row, struct str value)
{
    void *field = (char *)c + row->offset;
    const struct scalar_error *error;
    int64_t number;
    double real;

    switch (row->type) {
    case CONF_TYPE_TEXT:
        *(struct str *)field = arena_str(&c->arena, value);
        return row->rule->holds(&c->arena, field) ? 0 : -EINVAL;
    case CONF_TYPE_WORD:
        *(struct str *)field = arena_str(&c->arena, value);
        return is_word(row->words, value) ? 0 : -EINVAL;
    case CONF_TYPE_BOOL:
        return scalar_str_bool(value, field, &error);
    case CONF_TYPE_INT:
        if (scalar_str_i64(value, &number, &error) < 0 || !is_within(row, (double)number))
            return -EINVAL;
        *(int64_t *)field = number;
        return 0;
    case CONF_TYPE_SIZE:
        if (size_parse(value, &number) < 0 || !is_within(row, (double)number))
            return -EINVAL;
        *(int64_t *)field = number;
        return 0;
    case CONF_TYPE_REAL:
        if (scalar_str_double(value, &real, &error) < 0 || !is_within(row, real))
            return -EINVAL;
        *(double *)field = real;
        return 0;
    case CONF_TYPE_TITLE:
    case CONF_TYPE_ALIAS:
        break;
    }
    abort();
}

static struct str conf_rule_text(struct arena *a, const struct conf_row *row)
{
    switch (row->type) {
    case CONF_TYPE_TEXT:
        return str_from(row->rule->text);
    case CONF_TYPE_WORD:
        return arena_strf(a, "must be one of: %s", row->words);
    case CONF_TYPE_BOOL:
        return STR("must be true or false");
    case CONF_TYPE_SIZE:
        return arena_strf(a, "must be a size from %.0f to %.0f bytes, such as 512k, 10m or 1g", row->least,
                          row->most);
    case CONF_TYPE_INT:
        return arena_strf(a, "must be a whole number from %.0f to %.0f", row->least, row->most);
    case CONF_TYPE_REAL:
        return arena_strf(a, "must be a number from %g to %g", row->least, row->most);
    case CONF_TYPE_TITLE:
    case CONF_TYPE_ALIAS:
        break;
    }
    abort();
}

/* The last non-empty variable of that name in any case, or NULL: later lines replace earlier ones. */
static const struct conf_variable *find_variable(const struct conf_variables *variables, const char *name)
{
    for (size_t i = variables->count; i-- > 0;) {
        const struct conf_variable *v = &variables->items[i];

        if (v->value.n != 0 && str_ieq(v->name, str_from(name)))
            return v;
    }
    return NULL;
}

/* The setting's variable under its own name, else under an alias; *named is the row of the name. */
static const struct conf_variable *find_setting(const struct conf_variables *variables,
                                                const struct conf_row *row, const struct conf_row **named)
{
    const struct conf_variable *v = find_variable(variables, row->field);

    *named = row;
    for (size_t i = 0; v == NULL && i < conf_rows_count; i++) {
        if (conf_rows[i].type == CONF_TYPE_ALIAS && conf_rows[i].index == row->index) {
            *named = &conf_rows[i];
            v = find_variable(variables, conf_rows[i].field);
        }
    }
    return v;
}

static int conf_read_row(struct conf *c, const struct conf_row *row, struct str *reason)
{
    enum conf_source source = CONF_ENVIRONMENT;
    const struct conf_row *named;
    const struct conf_variable *v = find_setting(&c->environment, row, &named);
    char name[CONF_NAME_SIZE];
    struct str rule;

    if (v == NULL) {
        source = CONF_FILE;
        v = find_setting(&c->file, row, &named);
    }
    if (v == NULL) {
        if (row->fallback != NULL && conf_set(c, row, str_from(row->fallback)) < 0)
            abort(); /* a default that breaks its own rule */
        return 0;
    }
    c->sources[row->index] = (unsigned char)source;
    if (conf_set(c, row, v->value) == 0)
        return 0;
    rule = conf_rule_text(&c->arena, row);
    *reason = arena_strf(&c->arena, "%s (%s): " STR_FMT, conf_name(named, name),
                         source == CONF_FILE ? ".env" : "environment", STR_ARG(rule));
    return -EINVAL;
}

/* Derived values. */

static void add_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c != '\0' && strchr("-._~", c) != NULL))
            buf_add_byte(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

/* As libpq wants it in a URL: IPv6 addresses in brackets, socket directories escaped. */
static void add_host(struct buf *out, struct str host)
{
    if (str_find_byte(host, ':') < 0) {
        add_escaped(out, host);
        return;
    }
    buf_add_byte(out, '[');
    buf_add(out, host);
    buf_add_byte(out, ']');
}

static struct str build_database_url(struct conf *c)
{
    struct buf out;

    buf_init_arena(&out, &c->arena);
    buf_add(&out, STR("postgresql://"));
    add_escaped(&out, c->database_user);
    if (c->database_password.n != 0) {
        buf_add_byte(&out, ':');
        add_escaped(&out, c->database_password);
    }
    buf_add_byte(&out, '@');
    add_host(&out, c->database_host);
    buf_addf(&out, ":%" PRId64 "/", c->database_port);
    add_escaped(&out, c->database_name);
    return arena_str(&c->arena, buf_str(&out));
}

/* The same URL with another host; the port, if any, stays. */
static struct str replace_host(struct conf *c, struct str url, struct str host)
{
    size_t start = (size_t)str_find(url, STR("://")) + 3;
    struct str rest = str_from_offset(url, start);
    size_t authority_n = 0;
    ssize_t at;
    struct buf out;

    while (authority_n < rest.n && strchr("/?#", rest.p[authority_n]) == NULL)
        authority_n++;
    at = str_rfind_byte(str_head(rest, authority_n), '@');
    buf_init_arena(&out, &c->arena);
    buf_add(&out, str_head(url, start + (size_t)(at + 1)));
    add_host(&out, host);
    rest = str_from_offset(rest, (size_t)(at + 1));
    authority_n -= (size_t)(at + 1);
    at = str_rfind_byte(str_head(rest, authority_n), ':');
    if (at >= 0 && str_find_byte(str_from_offset(str_head(rest, authority_n), (size_t)at), ']') >= 0)
        at = -1; /* the colon is part of an IPv6 address */
    buf_add(&out, str_from_offset(rest, at >= 0 ? (size_t)at : authority_n));
    return arena_str(&c->arena, buf_str(&out));
}

/*
 * Without keys a development server still has to work, and find its data again
 * after a restart. conf_check() refuses this unless DEBUG=true.
 */
static void use_development_keys(struct conf *c)
{
    struct hash h;

    if (c->secret_key.n == 0)
        c->secret_key = STR("development key, known to everyone");
    if (c->encryption_key.n != 0)
        return;
    h = hash_hmac(c->secret_key, STR("development ENCRYPTION_KEY"));
    memcpy(c->fernet.sign, h.bytes, sizeof(c->fernet.sign));
    memcpy(c->fernet.encrypt, h.bytes + sizeof(c->fernet.sign), sizeof(c->fernet.encrypt));
}

static enum log_level log_level_of(const struct conf *c)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    if (c->debug && c->sources[CONF_AT_log_level] == CONF_DEFAULT)
        return LOG_DEBUG;
    for (size_t i = 0; i < nelem(names); i++) {
        if (str_eq(c->log_level, str_from(names[i])))
            return (enum log_level)i;
    }
    return LOG_INFO;
}

static void conf_derive(struct conf *c)
{
    if (c->database_url.n == 0) {
        c->database_url = build_database_url(c);
        c->sources[CONF_AT_database_url] = CONF_BUILT;
    }
    c->database_direct_url = c->database_direct_host.n != 0
                                 ? replace_host(c, c->database_url, c->database_direct_host)
                                 : c->database_url;
    if (c->encryption_key.n != 0 && fernet_key_parse(&c->fernet, c->encryption_key) < 0)
        abort(); /* its rule held */
    use_development_keys(c);
    c->log_least = log_level_of(c);
    /* Whoever lowers the maximum alone means it. */
    if (c->sandbox_min_size > c->sandbox_max_size)
        c->sandbox_min_size = c->sandbox_max_size;
    if (c->sandbox_min_idle > c->sandbox_max_size)
        c->sandbox_min_idle = c->sandbox_max_size;
}

static struct conf_variables copy_variables(struct arena *a, const struct conf_variables *from)
{
    struct conf_variables copy = {arena_alloc(a, (from->count + 1) * sizeof(*copy.items)), from->count};

    for (size_t i = 0; i < from->count; i++) {
        copy.items[i].name = arena_str(a, from->items[i].name);
        copy.items[i].value = arena_str(a, from->items[i].value);
    }
    return copy;
}

int conf_read(struct conf *c, const struct conf_variables *environment, const struct conf_variables *file,
              struct str *reason)
{
    *c = (struct conf){0};
    arena_init(&c->arena);
    c->environment = copy_variables(&c->arena, environment);
    c->file = copy_variables(&c->arena, file);
    for (size_t i = 0; i < conf_rows_count; i++) {
        if (conf_rows[i].type == CONF_TYPE_TITLE || conf_rows[i].type == CONF_TYPE_ALIAS)
            continue;
        if (conf_read_row(c, &conf_rows[i], reason) < 0)
            return -EINVAL;
    }
    conf_derive(c);
    return 0;
}

void conf_fini(struct conf *c)
{
    arena_fini(&c->arena);
    sodium_memzero(&c->fernet, sizeof(c->fernet));
}

struct str conf_variable(const struct conf *c, struct str name)
{
    const struct conf_variables *places[] = {&c->environment, &c->file};

    for (size_t i = 0; i < nelem(places); i++) {
        for (size_t k = places[i]->count; k-- > 0;) {
            if (places[i]->items[k].value.n != 0 && str_eq(places[i]->items[k].name, name))
                return places[i]->items[k].value;
        }
    }
    return STR_NONE;
}

/* Start-up rules. */

/* Whether the key is a text out of somebody's documentation. */
static bool is_placeholder(struct arena *a, struct str key)
{
    static const char *const marks[] = {"change",     "your-secret", "your_secret", "secret-key",
                                        "secret_key", "example",     "placeholder"};
    char *lower = arena_cstr(a, key);

    for (size_t i = 0; i < key.n; i++) {
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    }
    for (size_t i = 0; i < nelem(marks); i++) {
        if (str_find(str_of(lower, key.n), str_from(marks[i])) >= 0)
            return true;
    }
    return false;
}

static bool is_set(const struct conf *c, enum conf_index at)
{
    return c->sources[at] == CONF_FILE || c->sources[at] == CONF_ENVIRONMENT;
}

static void complain(struct buf *out, const char *text)
{
    if (buf_size(out) != 0)
        buf_add(out, STR("; "));
    buf_add(out, str_from(text));
}

int conf_check(struct conf *c, struct str *complaint)
{
    struct buf out;

    buf_init_arena(&out, &c->arena);
    if (!is_set(c, CONF_AT_secret_key))
        complain(&out, "SECRET_KEY is not set");
    else if (c->secret_key.n < CONF_SECRET_KEY_MIN)
        complain(&out, "SECRET_KEY is shorter than 16 bytes");
    else if (is_placeholder(&c->arena, c->secret_key))
        complain(&out, "SECRET_KEY is a well-known placeholder");
    if (!is_set(c, CONF_AT_encryption_key))
        complain(&out, "ENCRYPTION_KEY is not set");
    if (c->database_password.n == 0 && !is_set(c, CONF_AT_database_url) &&
        !str_starts(c->database_host, STR("/")))
        complain(&out, "neither DATABASE_PASSWORD nor DATABASE_URL is set");
    *complaint = STR_NONE;
    if (buf_size(&out) == 0)
        return 0;
    if (!c->debug)
        complain(&out, "`sinas init` writes an environment file with good keys");
    *complaint = buf_str(&out);
    return c->debug ? 0 : -EINVAL;
}

/* This process's settings. */

static struct conf_variables process_environment(struct arena *a)
{
    struct conf_variables variables = {NULL, 0};
    size_t count = 0;

    while (environ[count] != NULL)
        count++;
    variables.items = arena_alloc(a, (count + 1) * sizeof(*variables.items));
    for (size_t i = 0; i < count; i++) {
        struct str rest = str_from(environ[i]);
        struct str name = str_cut(&rest, '=');

        if (!str_is_none(rest))
            variables.items[variables.count++] = (struct conf_variable){name, rest};
    }
    return variables;
}

/* The whole file, or STR_NONE when there is none. 0 or a negative errno. */
static int read_file(struct arena *a, const char *path, struct str *text)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *p;
    size_t n = 0;

    *text = STR_NONE;
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > CONF_FILE_MAX)
        return -EFBIG;
    p = arena_bytes(a, (size_t)st.st_size + 1);
    while (n < (size_t)st.st_size) {
        ssize_t more = read(fd, p + n, (size_t)st.st_size - n);

        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            return -errno;
        if (more == 0)
            break;
        n += (size_t)more;
    }
    *text = str_of(p, n);
    return 0;
}

static int process_file(struct arena *a, struct conf_variables *variables, struct str *reason)
{
    struct str text;
    unsigned line;
    int rc = read_file(a, ".env", &text);

    if (rc < 0) {
        *reason = arena_strf(&conf.arena, ".env: %s", strerror(-rc));
        return -EINVAL;
    }
    if (conf_file_parse(a, text, variables, &line) < 0) {
        *reason = arena_strf(&conf.arena, ".env: line %u is not of the form NAME=value", line);
        return -EINVAL;
    }
    return 0;
}

int conf_init(struct str *reason)
{
    struct conf_variables environment, file = {NULL, 0};
    struct arena scratch;
    int rc;

    arena_init(&scratch);
    environment = process_environment(&scratch);
    rc = process_file(&scratch, &file, reason);
    if (rc == 0)
        rc = conf_read(&conf, &environment, &file, reason);
    arena_fini(&scratch);
    return rc;
}
