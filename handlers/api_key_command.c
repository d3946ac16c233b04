#include "handlers/api_key_command.h"

#include "base/conf.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rand.h"
#include "handlers/perm.h"
#include "serve.h"
#include "sql.h"

#include <libpq-fe.h>

enum { KEY_PREFIX_SIZE = 8, KEY_PERMISSIONS_MAX = 64, KEY_CONNECT_SECONDS = 10 };

static const char usage[] =
    "usage: sinas create-api-key [--name NAME] [--permission KEY] … [--minutes N]\n"
    "Prints a new key of the superadmin. Without --permission it may do everything (sinas.*:all),\n"
    "without --minutes it does not expire.\n";

struct key_wish {
    struct str name;
    struct str permissions[KEY_PERMISSIONS_MAX];
    size_t permissions_count;
    struct str minutes; /* STR_NONE: for ever */
};

static int wish_add_permission(struct key_wish *wish, struct str permission)
{
    if (wish->permissions_count == KEY_PERMISSIONS_MAX || !perm_is_valid(permission))
        return -EINVAL;
    wish->permissions[wish->permissions_count++] = permission;
    return 0;
}

static int wish_option(struct key_wish *wish, struct str option, struct str value)
{
    int64_t minutes;

    if (str_eq(option, STR("--permission")))
        return wish_add_permission(wish, value);
    if (str_eq(option, STR("--name")) && value.n > 0 && str_is_utf8(value) && str_utf8_length(value) <= 255) {
        wish->name = value;
        return 0;
    }
    if (str_eq(option, STR("--minutes")) && str_to_i64(value, &minutes) == 0 && minutes > 0 &&
        minutes <= INT32_MAX) {
        wish->minutes = value;
        return 0;
    }
    return -EINVAL;
}

static int wish_read(struct key_wish *wish, int argc, char **argv)
{
    *wish = (struct key_wish){.name = STR("command line"), .minutes = STR_NONE};
    if (argc % 2 == 0)
        return -EINVAL;
    for (int i = 1; i < argc; i += 2) {
        if (wish_option(wish, str_from(argv[i]), str_from(argv[i + 1])) < 0)
            return -EINVAL;
    }
    return wish->permissions_count != 0 ? 0 : wish_add_permission(wish, STR("sinas.*:all"));
}

static const char *wish_permissions(struct arena *a, const struct key_wish *wish)
{
    struct json_writer w;
    struct buf out;

    buf_init_arena(&out, a);
    json_write_init(&w, &out);
    json_object_begin(&w);
    for (size_t i = 0; i < wish->permissions_count; i++)
        json_field_bool(&w, wish->permissions[i], true);
    json_object_end(&w);
    return arena_cstr(a, buf_str(&out));
}

/* Text for a parameter, NULL for none. */
static const char *parameter(struct arena *a, struct str s)
{
    return str_is_none(s) ? NULL : arena_cstr(a, s);
}

static int key_insert(struct arena *a, PGconn *db, const struct key_wish *wish, struct str key)
{
    const struct sql_stmt *s = &sql_stmt_command_key_insert;
    const char *params[] = {
        parameter(a, conf.superadmin_email),
        arena_cstr(a, wish->name),
        arena_cstr(a, hash_sha256_hex(a, key)),
        arena_cstr(a, str_head(key, KEY_PREFIX_SIZE)),
        wish_permissions(a, wish),
        parameter(a, wish->minutes),
    };
    PGresult *result = PQexecParams(db, s->text, nelem(params), s->param_types, params, NULL, NULL, 0);
    int rc = 0;

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fprintf(stderr, "sinas: %s", PQerrorMessage(db));
        rc = -EIO;
    } else if (PQntuples(result) == 0) {
        fprintf(stderr, "sinas: there is no administrator yet: set SUPERADMIN_EMAIL and start the server\n");
        rc = -ENOENT;
    }
    PQclear(result);
    return rc;
}

static PGconn *key_connect(struct arena *a)
{
    char *timeout = arena_printf(a, "%d", KEY_CONNECT_SECONDS);
    const char *const keys[] = {"dbname", "application_name", "connect_timeout", NULL};
    const char *const values[] = {arena_cstr(a, conf.database_url), "sinas create-api-key", timeout, NULL};

    return PQconnectdbParams(keys, values, 1);
}

static int key_create(struct arena *a, const struct key_wish *wish)
{
    PGconn *db = key_connect(a);
    struct str key = rand_token(a);
    int rc = -ENOTCONN;

    if (PQstatus(db) == CONNECTION_OK)
        rc = key_insert(a, db, wish, key);
    else
        fprintf(stderr, "sinas: %s", PQerrorMessage(db));
    if (rc == 0)
        printf(STR_FMT "\n", STR_ARG(key));
    PQfinish(db);
    return rc;
}

int command_create_api_key(int argc, char **argv)
{
    struct key_wish wish;
    struct arena a;
    int rc;

    if (wish_read(&wish, argc, argv) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    if (settings_load() < 0)
        return EXIT_FAILURE;
    arena_init(&a);
    rc = key_create(&a, &wish);
    arena_fini(&a);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
