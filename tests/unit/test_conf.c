#include "test.h"

#include "base/conf.h"

#include <stdio.h>

enum { VARIABLES_MAX = 16 };

/* "NAME=value" strings up to NULL. */
static struct conf_variables variables_of(struct arena *a, const char *const *texts)
{
    struct conf_variables v = {arena_alloc(a, VARIABLES_MAX * sizeof(*v.items)), 0};

    for (; texts != NULL && *texts != NULL; texts++) {
        struct str rest = str_from(*texts);
        struct str name = str_cut(&rest, '=');

        v.items[v.count++] = (struct conf_variable){name, rest};
    }
    return v;
}

static void free_conf(void *thing)
{
    conf_fini(thing);
}

static int read_conf(struct arena *a, struct conf **c, const char *const *environment,
                     const char *const *file, struct str *reason)
{
    struct conf_variables e = variables_of(a, environment);
    struct conf_variables f = variables_of(a, file);

    *c = arena_zalloc(a, sizeof(**c));
    arena_defer(a, free_conf, *c);
    return conf_read(*c, &e, &f, reason);
}

static struct conf *conf_of(struct arena *a, const char *const *environment, const char *const *file)
{
    struct str reason = STR("");
    struct conf *c;

    if (read_conf(a, &c, environment, file, &reason) < 0)
        test_failed(__FILE__, __LINE__, "refused: " STR_FMT, STR_ARG(reason));
    return c;
}

#define VARS(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(conf_has_the_defaults_of_the_contract)
{
    struct conf *c = conf_of(a, NULL, NULL);

    CHECK_STR(c->host, STR("0.0.0.0"));
    CHECK_INT(c->port, 8000);
    CHECK_INT(c->access_token_expire_minutes, 15);
    CHECK_INT(c->max_function_storage, 1073741824);
    CHECK(c->max_function_cpu == 1.0);
    CHECK(c->allow_package_installation && !c->debug);
    CHECK(str_is_none(c->smtp_host));
    CHECK_STR(c->database_url, STR("postgresql://postgres@postgres:5432/sinas"));
    CHECK_STR(c->database_direct_url, c->database_url);
    CHECK_INT(c->log_least, LOG_INFO);
    CHECK_INT(c->sources[CONF_AT_port], CONF_DEFAULT);
}

TEST(conf_prefers_environment_over_file_over_default)
{
    struct conf *c = conf_of(a, VARS("port=9001", "SMTP_HOST=", "Debug=Yes", "log_level=warn"),
                             VARS("PORT=9002", "SMTP_HOST=mail", "OTP_MAX_ATTEMPTS=3"));

    CHECK_INT(c->port, 9001);
    CHECK_INT(c->sources[CONF_AT_port], CONF_ENVIRONMENT);
    CHECK_STR(c->smtp_host, STR("mail")); /* empty is unset */
    CHECK_INT(c->otp_max_attempts, 3);
    CHECK_INT(c->sources[CONF_AT_otp_max_attempts], CONF_FILE);
    CHECK(c->debug);
    CHECK_INT(c->log_least, LOG_WARN);
    CHECK_INT(conf_of(a, VARS("DEBUG=1"), NULL)->log_least, LOG_DEBUG);
}

TEST(conf_aliases_yield_to_the_name)
{
    CHECK_INT(conf_of(a, VARS("BACKEND_PORT=1"), NULL)->port, 1);
    CHECK_INT(conf_of(a, VARS("BACKEND_PORT=1", "PORT=2"), NULL)->port, 2);
    CHECK_INT(conf_of(a, VARS("POOL_MAX_SIZE=7"), VARS("SANDBOX_MAX_SIZE=8"))->sandbox_max_size, 7);
    CHECK_INT(conf_of(a, VARS("HTTP_WORKERS=3"), NULL)->uvicorn_workers, 3);
    CHECK_STR(conf_of(a, VARS("DEFAULT_GROUP_NAME=X"), NULL)->default_role_name, STR("X"));
}

TEST(conf_refuses_with_name_and_rule_but_no_value)
{
    static const struct {
        const char *variable;
        const char *reason;
    } bad[] = {
        {"PORT=notanumber", "PORT (environment): must be a whole number from 1 to 65535"},
        {"BACKEND_PORT=70000", "BACKEND_PORT (environment): must be a whole number from 1 to 65535"},
        {"PORT=0", "PORT (environment): must be a whole number from 1 to 65535"},
        {"DEBUG=maybe", "DEBUG (environment): must be true or false"},
        {"ALGORITHM=none", "ALGORITHM (environment): must be one of: HS256"},
        {"OTEL_VENDOR=secretvendor",
         "OTEL_VENDOR (environment): must be one of: langwatch langfuse generic_otel"},
        {"MAX_FUNCTION_CPU=nan", "MAX_FUNCTION_CPU (environment): must be a number from 0.01 to 1024"},
        {"MAX_BODY_SIZE=10q", "MAX_BODY_SIZE (environment): must be a size from 1024 to "
                              "1099511627776 bytes, such as 512k, 10m or 1g"},
        {"MAX_BODY_SIZE=9223372036854775807g",
         "MAX_BODY_SIZE (environment): must be a size from 1024 to 1099511627776 bytes, such as "
         "512k, 10m or 1g"},
        {"ENCRYPTION_KEY=tooshort", "ENCRYPTION_KEY (environment): must be 32 bytes as URL-safe "
                                    "base64 with padding (44 characters)"},
        {"DATABASE_URL=mysql://x", "DATABASE_URL (environment): must begin with postgres:// or "
                                   "postgresql://"},
        {"SUPERADMIN_EMAIL=nobody", "SUPERADMIN_EMAIL (environment): must be an e-mail address"},
    };

    for (size_t i = 0; i < nelem(bad); i++) {
        struct str reason = STR("accepted");
        struct conf *c;

        CHECK_INT(read_conf(a, &c, VARS(bad[i].variable), NULL, &reason), -EINVAL);
        CHECK_STR(reason, str_from(bad[i].reason));
    }
}

TEST(conf_reads_sizes)
{
    CHECK_INT(conf_of(a, VARS("MAX_BODY_SIZE=2048"), NULL)->max_body_size, 2048);
    CHECK_INT(conf_of(a, VARS("MAX_BODY_SIZE=512k"), NULL)->max_body_size, 524288);
    CHECK_INT(conf_of(a, VARS("MAX_BODY_SIZE=10MB"), NULL)->max_body_size, 10485760);
    CHECK_INT(conf_of(a, VARS("MAX_FUNCTION_STORAGE=2G"), NULL)->max_function_storage, INT64_C(2) << 30);
}

TEST(conf_builds_the_database_url)
{
    CHECK_STR(conf_of(a, VARS("DATABASE_PASSWORD=p@ss/w:rd%", "DATABASE_HOST=db", "DATABASE_USER=ada"), NULL)
                  ->database_url,
              STR("postgresql://ada:p%40ss%2Fw%3Ard%25@db:5432/sinas"));
    CHECK_STR(conf_of(a, VARS("DATABASE_HOST=/run/pg", "DATABASE_PORT=5433"), NULL)->database_url,
              STR("postgresql://postgres@%2Frun%2Fpg:5433/sinas"));
    CHECK_STR(conf_of(a, VARS("DATABASE_HOST=::1"), NULL)->database_url,
              STR("postgresql://postgres@[::1]:5432/sinas"));
    CHECK_STR(conf_of(a, VARS("DATABASE_URL=postgres://u:p@pooler:6432/d?x=1", "DATABASE_HOST=other"), NULL)
                  ->database_url,
              STR("postgres://u:p@pooler:6432/d?x=1"));
}

TEST(conf_replaces_the_host_for_direct_connections)
{
    static const char *const pairs[][2] = {
        {"DATABASE_URL=postgres://u:p@pooler:6432/d?x=1", "postgres://u:p@direct:6432/d?x=1"},
        {"DATABASE_URL=postgres://pooler/d", "postgres://direct/d"},
        {"DATABASE_URL=postgres://u@[::1]:5432/d", "postgres://u@direct:5432/d"},
        {"DATABASE_URL=postgres://u@[::1]/d", "postgres://u@direct/d"},
        {"DATABASE_URL=postgres://", "postgres://direct"},
        {"DATABASE_USER=u", "postgresql://u@direct:5432/sinas"},
    };

    for (size_t i = 0; i < nelem(pairs); i++)
        CHECK_STR(conf_of(a, VARS(pairs[i][0], "DATABASE_DIRECT_HOST=direct"), NULL)->database_direct_url,
                  str_from(pairs[i][1]));
}

TEST(conf_normalises_the_superadmin)
{
    CHECK_STR(conf_of(a, VARS("SUPERADMIN_EMAIL= Ada@Example.COM "), NULL)->superadmin_email,
              STR("ada@example.com"));
}

TEST(conf_keeps_the_sandbox_minimum_below_the_maximum)
{
    struct conf *c = conf_of(a, VARS("SANDBOX_MAX_SIZE=1"), NULL);

    CHECK_INT(c->sandbox_min_size, 1);
    CHECK_INT(c->sandbox_min_idle, 1);
}

TEST(conf_variable_finds_what_is_no_setting)
{
    struct conf *c = conf_of(a, VARS("HUBSPOT_API_KEY=e", "EMPTY="), VARS("EMPTY=f", "ONLY_FILE=g"));

    CHECK_STR(conf_variable(c, STR("HUBSPOT_API_KEY")), STR("e"));
    CHECK_STR(conf_variable(c, STR("EMPTY")), STR("f"));
    CHECK_STR(conf_variable(c, STR("ONLY_FILE")), STR("g"));
    CHECK(str_is_none(conf_variable(c, STR("only_file"))));
}

#define GOOD_SECRET "SECRET_KEY=0123456789abcdef0123456789abcdef"
#define GOOD_FERNET "ENCRYPTION_KEY=cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="

TEST(conf_check_refuses_missing_and_default_keys)
{
    static const char *const bad[][2] = {
        {"X=1", GOOD_FERNET},
        {GOOD_SECRET, "X=1"},
        {"SECRET_KEY=short", GOOD_FERNET},
        {"SECRET_KEY=your-secret-key-change-in-production", GOOD_FERNET},
        {"SECRET_KEY=Please-Change-Me-Please", GOOD_FERNET},
    };
    struct str complaint;

    for (size_t i = 0; i < nelem(bad); i++) {
        struct conf *c = conf_of(a, VARS(bad[i][0], bad[i][1], "DATABASE_PASSWORD=x"), NULL);

        CHECK_INT(conf_check(c, &complaint), -EINVAL);
        CHECK(complaint.n != 0);
        c = conf_of(a, VARS(bad[i][0], bad[i][1], "DATABASE_PASSWORD=x", "DEBUG=true"), NULL);
        CHECK_INT(conf_check(c, &complaint), 0);
        CHECK(complaint.n != 0); /* a warning */
    }
    CHECK_INT(conf_check(conf_of(a, VARS(GOOD_SECRET, GOOD_FERNET), NULL), &complaint), -EINVAL);
    CHECK_INT(
        conf_check(conf_of(a, VARS(GOOD_SECRET, GOOD_FERNET, "DATABASE_HOST=/run/pg"), NULL), &complaint), 0);
    CHECK(str_is_none(complaint));
    CHECK_INT(conf_check(conf_of(a, VARS(GOOD_SECRET, GOOD_FERNET, "DATABASE_PASSWORD=x"), NULL), &complaint),
              0);
    CHECK(str_is_none(complaint));
}

TEST(conf_has_the_same_development_key_every_time)
{
    struct conf *one = conf_of(a, VARS("DEBUG=true"), NULL);
    struct conf *two = conf_of(a, VARS("DEBUG=true"), NULL);
    struct str plain;

    CHECK(one->secret_key.n >= 16);
    CHECK(fernet_decrypt(a, &two->fernet, fernet_encrypt(a, &one->fernet, STR("x")), &plain) == 0);
}

static struct str printed(struct arena *a, const struct conf *c)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    struct str copy;

    conf_print(out, c);
    (void)fclose(out);
    copy = arena_str(a, str_of(text, n));
    free(text);
    return copy;
}

TEST(conf_print_never_shows_a_secret)
{
    struct conf *c = conf_of(a,
                             VARS("SECRET_KEY=hush-hush-hush-hush", GOOD_FERNET, "SMTP_PASSWORD=hush",
                                  "DATABASE_URL=postgres://ada:hush/hu@sh@db:5432/x?password=hush&y=1",
                                  "REDIS_URL=redis://:hush@redis:6379/1",
                                  "PIP_INDEX_URL=https://bob:hush@pypi.local/simple",
                                  "OTEL_EXPORTER_HEADERS=authorization=hush", "DOMAIN=evil\x1b[2J"),
                             NULL);
    struct str text = printed(a, c);

    CHECK(str_find(text, STR("hush")) < 0);
    CHECK(str_find(text, STR("cw_0x")) < 0);
    CHECK(str_find(text, STR("\x1b")) < 0);
    CHECK(str_find(text, STR("postgres://ada:***@db:5432/x?password=***&y=1")) >= 0);
    CHECK(str_find(text, STR("redis://:***@redis:6379/1")) >= 0);
    CHECK(str_find(text, STR("SECRET_KEY                        (set)  # environment")) >= 0);
    CHECK(str_find(text, STR("DATABASE_PASSWORD                 (unset)  # default")) >= 0);
    CHECK(str_find(text, STR("PORT                              8000  # default")) >= 0);
}

TEST(conf_print_hides_the_development_key)
{
    struct str text = printed(a, conf_of(a, VARS("DEBUG=true"), NULL));

    CHECK(str_find(text, STR("development key")) < 0);
    CHECK(str_find(text, STR("SECRET_KEY                        (unset)")) >= 0);
    CHECK(str_find(text, STR("DEBUG                             true  # environment, default false")) >= 0);
}

TEST(conf_init_text_is_a_file_that_starts)
{
    struct conf_variables file;
    struct conf_variables none = {NULL, 0};
    struct str complaint, reason;
    unsigned line;
    struct buf text;
    struct conf *c = arena_zalloc(a, sizeof(*c));

    buf_init_arena(&text, a);
    conf_init_text(&text);
    CHECK_INT(conf_file_parse(a, buf_str(&text), &file, &line), 0);
    CHECK_INT(file.count, 3);
    arena_defer(a, free_conf, c);
    CHECK_INT(conf_read(c, &none, &file, &reason), 0);
    CHECK_INT(conf_check(c, &complaint), 0);
    CHECK(str_is_none(complaint));
    CHECK(c->secret_key.n == 43 && c->database_password.n == 43);
}

TEST(conf_init_text_shows_true_defaults)
{
    struct conf_variables file;
    struct conf_variables none = {NULL, 0};
    struct str reason;
    unsigned line;
    struct buf text;
    struct conf *c = arena_zalloc(a, sizeof(*c));
    char *all;
    size_t n = 0;

    buf_init_arena(&text, a);
    conf_init_text(&text);
    all = arena_cstr(a, buf_str(&text));
    for (size_t i = 0; all[i] != '\0'; i++) { /* every example line made real */
        if (all[i] == '#' && (i == 0 || all[i - 1] == '\n') && all[i + 1] >= 'A' && all[i + 1] <= 'Z')
            continue;
        all[n++] = all[i];
    }
    CHECK_INT(conf_file_parse(a, str_of(all, n), &file, &line), 0);
    CHECK(file.count > 80);
    arena_defer(a, free_conf, c);
    CHECK_INT(conf_read(c, &none, &file, &reason), 0);
    CHECK_INT(c->max_function_storage, 1073741824);
    CHECK_STR(c->config_env_allow, STR("*_API_KEY,*_TOKEN,*_PASSWORD,*_URL,*_HOST,*_USER"));
}

TEST(conf_file_reads_dotenv)
{
    static const struct {
        const char *text;
        const char *value;
    } cases[] = {
        {"A=b", "b"},
        {"A=b\r\n", "b"},
        {"  export   A =  b c  \n", "b c"},
        {"export=b", "b"},
        {"A=", ""},
        {"A=   # comment", ""},
        {"A=#b", "#b"},
        {"A=b#c", "b#c"},
        {"A=b # c", "b"},
        {"A=b=c", "b=c"},
        {"A=\"b # c\" # d", "b # c"},
        {"A='b\\n\\'\\\\'", "b\\n'\\"},
        {"A=\"b\\n\\t\\\"\\\\\\$\\x\"", "b\n\t\"\\$\\x"},
        {"A=\"b\nc\"", "b\nc"},
        {"\xef\xbb\xbf# x\n\n\t\n  # y\nA=$B", "$B"},
        {"A=\"\"", ""},
        {"a.b-c=d", "d"},
    };

    for (size_t i = 0; i < nelem(cases); i++) {
        struct conf_variables v;
        unsigned line = 0;

        if (conf_file_parse(a, str_from(cases[i].text), &v, &line) < 0 || v.count != 1)
            test_failed(__FILE__, __LINE__, "case %zu", i);
        else
            CHECK_STR(v.items[0].value, str_from(cases[i].value));
    }
}

TEST(conf_file_names_the_bad_line)
{
    static const struct {
        const char *text;
        unsigned line;
    } bad[] = {
        {"A=b\nC", 2},        {"=b", 1},       {"A=b\n\n1A=c", 3}, {"A='b\n\nc", 1}, {"A=\"b\" c", 1},
        {"A=\"b\nc\"\nD", 3}, {"export A", 1}, {"A=\"b\\\"", 1},   {"A B=c", 1},     {"A='b''c'", 1},
    };

    for (size_t i = 0; i < nelem(bad); i++) {
        struct conf_variables v;
        unsigned line = 0;

        if (conf_file_parse(a, str_from(bad[i].text), &v, &line) != -EINVAL || line != bad[i].line)
            test_failed(__FILE__, __LINE__, "case %zu: line %u", i, line);
    }
}

TEST(conf_file_keeps_many_in_order)
{
    struct conf_variables v;
    unsigned line;
    struct buf text;

    buf_init_arena(&text, a);
    for (int i = 0; i < 1000; i++)
        buf_addf(&text, "A%d=%d\n", i, i);
    CHECK_INT(conf_file_parse(a, buf_str(&text), &v, &line), 0);
    CHECK_INT(v.count, 1000);
    CHECK_STR(v.items[999].name, STR("A999"));
    CHECK_STR(v.items[512].value, STR("512"));
}
