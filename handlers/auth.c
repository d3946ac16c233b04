#include "handlers/auth.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/hex.h"
#include "base/jwt.h"
#include "base/log.h"
#include "base/lru.h"
#include "handlers/app.h"
#include "handlers/limit.h"
#include "sql.h"

enum { USER_ID_SIZE = UUID_TEXT_SIZE, SETS_MAX = 4096 };

/* A compiled set of grants: most users share theirs with everybody else of their roles. */
struct grant_set {
    struct lru_link link; /* by the hash of what it was compiled from */
    unsigned holds;       /* by the cache and by each of the grants that use it */
    struct arena arena;
    struct perm_set *set;
};

/* What a credential may do. Not changed once it is made. */
struct grants {
    struct lru_link link;
    unsigned holds; /* by the cache and by each identity: a request may outlive the cache's entry */
    int64_t epoch;
    int64_t key_expires_us;               /* INT64_MAX: never */
    int64_t key_noted_ns;                 /* when last_used_at was last written, by this node */
    struct grant_set *user_set, *key_set; /* key_set is NULL for a login */
    char user_id[USER_ID_SIZE], api_key_id[USER_ID_SIZE];
    size_t email_size;
    char email[];
};

/* A request that waits for the epoch. */
struct epoch_wait {
    struct list link; /* of its question, until that is answered */
    struct completion done;
    int64_t epoch;
};

struct identity {
    struct hash cache_key;
    struct grants *grants;
    struct str user_id, email, api_key_id; /* copies: they outlive a change of grants */
    struct epoch_wait wait;
    bool is_asking; /* wait is in use */
    bool is_confirmed, is_stale;
    bool is_key_text; /* asked with the text of an API key: its use is noted */
};

/* How the grants of a credential are found: by the ids, or by the hash of an API key's text. */
struct credential {
    struct hash cache_key;
    struct str user_id, api_key_id;
    struct str key_hash; /* STR_NONE: by the ids */
};

/* ---- cache ---- */

/* One statement that asks for the epoch: of all requests that came before it was sent. */
struct epoch_question {
    struct server *server;
    struct list waits;
};

struct auth_cache {
    struct lru entries, sets;
    struct epoch_question *unsent; /* the one that can be joined, or NULL */
};

static void grant_set_drop(struct grant_set *s)
{
    if (s == NULL || --s->holds != 0)
        return;
    arena_fini(&s->arena);
    free(s);
}

static void grant_set_evict(struct lru_link *item)
{
    grant_set_drop(container_of(item, struct grant_set, link));
}

static void grants_drop(struct grants *g)
{
    if (--g->holds != 0)
        return;
    grant_set_drop(g->user_set);
    grant_set_drop(g->key_set);
    free(g);
}

static void grants_evict(struct lru_link *item)
{
    grants_drop(container_of(item, struct grants, link));
}

struct auth_cache *auth_cache_new(size_t entries_max)
{
    struct auth_cache *cache = mem_zalloc(sizeof(*cache));

    lru_init(&cache->entries, entries_max, grants_evict);
    lru_init(&cache->sets, SETS_MAX, grant_set_evict);
    return cache;
}

void auth_cache_free(struct auth_cache *cache)
{
    lru_fini(&cache->entries);
    lru_fini(&cache->sets);
    free(cache);
}

/* Not held for the caller. */
static struct grants *cache_find(struct auth_cache *cache, const struct hash *key)
{
    struct lru_link *item = lru_find(&cache->entries, key);
    struct grants *g;

    if (item == NULL)
        return NULL;
    g = container_of(item, struct grants, link);
    return g->key_expires_us > clock_real_us() ? g : NULL;
}

/* So that grants which are no longer true are not looked at again, whatever the epoch did. */
static void cache_forget(struct auth_cache *cache, const struct hash *key)
{
    struct lru_link *item = lru_find(&cache->entries, key);

    if (item == NULL)
        return;
    lru_remove(&cache->entries, item);
    grants_evict(item);
}

static void cache_add(struct auth_cache *cache, struct grants *g, const struct hash *key)
{
    const struct lru_link *item = lru_find(&cache->entries, key);

    /* Somebody may have read newer grants while we waited for ours. */
    if (item != NULL && container_of(item, struct grants, link)->epoch > g->epoch)
        return;
    g->holds++;
    lru_add(&cache->entries, &g->link, key);
}

/* ---- loading ---- */

static size_t true_keys(const struct json *map, struct str *keys)
{
    size_t n = 0;

    json_each_member (member, map) {
        if (json_bool(json_value(member)))
            keys[n++] = json_text(json_key(member));
    }
    return n;
}

static size_t texts(const struct json *list, struct str *keys)
{
    size_t n = 0;

    json_each (item, list)
        keys[n++] = json_text(item);
    return n;
}

/* The set of a JSON array of keys, or of an object whose true members count. */
static struct perm_set *set_compile(struct arena *scratch, struct arena *a, struct str json)
{
    const struct json *value = NULL;
    struct json_error error;
    struct str *keys;

    /* Both columns are of the type json: what they hold parses. A null one grants nothing. */
    if (str_is_none(json) || json_parse(scratch, json, &value, &error) < 0)
        return perm_set_new(a, NULL, 0);
    keys = arena_alloc(scratch, (json_count(value) + 1) * sizeof(*keys));
    return perm_set_new(a, keys, json_is(value, JSON_ARRAY) ? texts(value, keys) : true_keys(value, keys));
}

/* The compiled set of that text, held for the caller. */
static struct grant_set *grant_set_of(struct auth_cache *cache, struct arena *scratch, struct str json)
{
    struct hash key = hash_sha256(json);
    struct lru_link *item = lru_find(&cache->sets, &key);
    struct grant_set *s;

    if (item == NULL) {
        s = mem_zalloc(sizeof(*s));
        arena_init(&s->arena);
        s->set = set_compile(scratch, &s->arena, json);
        s->holds = 1;
        lru_add(&cache->sets, &s->link, &key);
        item = &s->link;
    }
    s = container_of(item, struct grant_set, link);
    s->holds++;
    return s;
}

/* Of a row that names a user. */
static struct grants *grants_new(struct auth_cache *cache, struct arena *scratch, const struct rows *row)
{
    struct str email = row_str(row, 0, "email");
    struct grants *g = mem_zalloc(sizeof(*g) + email.n);

    g->holds = 1;
    g->epoch = row_i64(row, 0, "epoch");
    g->email_size = email.n;
    memcpy(g->email, email.p, email.n);
    memcpy(g->user_id, row_str(row, 0, "user_id").p, USER_ID_SIZE);
    g->user_set = grant_set_of(cache, scratch, row_str(row, 0, "grants"));
    g->key_expires_us = INT64_MAX;
    if (row_is_null(row, 0, "api_key_id"))
        return g;
    memcpy(g->api_key_id, row_str(row, 0, "api_key_id").p, USER_ID_SIZE);
    g->key_set = grant_set_of(cache, scratch, row_str(row, 0, "key_permissions"));
    if (!row_is_null(row, 0, "key_expires_us"))
        g->key_expires_us = row_i64(row, 0, "key_expires_us");
    return g;
}

static struct perm_scope grants_scope(const struct grants *g)
{
    return (struct perm_scope){.user = g->user_set->set, .key = g->key_set != NULL ? g->key_set->set : NULL};
}

/* Reads the grants and caches them. 0 and *g, held for the caller; NULL: the credential is not valid. */
static int grants_load_await(struct req *r, const struct credential *c, struct grants **g)
{
    struct rows row;
    bool wants_key = !str_is_none(c->key_hash) || !str_is_none(c->api_key_id);

    *g = NULL;
    if (str_is_none(c->key_hash))
        TRY(sql_auth_by_user_await(r, &row, c->user_id, c->api_key_id));
    else
        TRY(sql_auth_by_key_await(r, &row, c->key_hash));
    if (row.count == 0 || row_is_null(&row, 0, "user_id") ||
        (wants_key && row_is_null(&row, 0, "api_key_id")))
        return 0;
    *g = grants_new(r->server->app->auth, &r->arena, &row);
    cache_add(r->server->app->auth, *g, &c->cache_key);
    return 0;
}

/* ---- identities ---- */

static void identity_fini(void *thing)
{
    struct identity *id = thing;

    list_remove(&id->wait.link);
    grants_drop(id->grants);
}

/* Takes over the hold on g. */
static struct identity *identity_new(struct req *r, struct grants *g, const struct hash *cache_key)
{
    struct identity *id = arena_zalloc(&r->arena, sizeof(*id));

    *id = (struct identity){
        .cache_key = *cache_key,
        .grants = g,
        .user_id = arena_str(&r->arena, str_of(g->user_id, USER_ID_SIZE)),
        .email = arena_str(&r->arena, str_of(g->email, g->email_size)),
    };
    list_init(&id->wait.link);
    if (g->key_set != NULL)
        id->api_key_id = arena_str(&r->arena, str_of(g->api_key_id, USER_ID_SIZE));
    arena_defer(&r->arena, identity_fini, id);
    return id;
}

/* ---- last use of API keys ---- */

enum { KEY_NOTE_SECONDS = 60 };

static void key_note(struct req *r, void *arg)
{
    struct grants *g = arg;
    struct rows rows;

    if (sql_api_key_used_await(r, &rows, str_of(g->api_key_id, USER_ID_SIZE)) < 0)
        log_warn("auth", "last use of API key %.*s could not be noted", USER_ID_SIZE, g->api_key_id);
    grants_drop(g);
}

/* Off the request's path: nobody waits for it. */
static void key_note_use(struct server *s, struct grants *g)
{
    int64_t now_ns = clock_mono_ns();

    if (g->key_noted_ns != 0 && now_ns - g->key_noted_ns < KEY_NOTE_SECONDS * INT64_C(1000000000))
        return;
    g->key_noted_ns = now_ns;
    g->holds++;
    req_spawn(s, "api key used", key_note, g);
}

static void identity_confirm(struct req *r, struct identity *id)
{
    id->is_confirmed = true;
    if (id->is_key_text)
        key_note_use(r->server, id->grants);
}

/* ---- confirming ---- */

/* The task of a question: runs in the turn of the first who asked, behind all who can run now. */
static void question_run(void *arg)
{
    struct epoch_question *q = arg;
    struct arena a;
    struct rows row;
    int rc;

    q->server->app->auth->unsent = NULL;
    arena_init(&a);
    rc = pg_exec_await(q->server->db, NULL, &sql_stmt_auth_epoch, NULL, &a, &row);
    list_each (wait, &q->waits, struct epoch_wait, link) {
        list_remove(&wait->link);
        wait->epoch = rc >= 0 ? row_i64(&row, 0, "epoch") : 0;
        completion_finish(&wait->done, rc >= 0 ? 0 : rc);
    }
    arena_fini(&a);
    free(q);
}

static void identity_ask(struct server *s, struct identity *id)
{
    struct auth_cache *cache = s->app->auth;

    if (cache->unsent == NULL) {
        cache->unsent = mem_alloc(sizeof(*cache->unsent));
        cache->unsent->server = s;
        list_init(&cache->unsent->waits);
        task_spawn(task_loop(), "auth epoch", question_run, cache->unsent);
    }
    completion_init(&id->wait.done);
    list_append(&cache->unsent->waits, &id->wait.link);
    id->is_asking = true;
}

/* The answer to the shared question, or to one of our own when that failed. */
static int identity_epoch_await(struct req *r, struct identity *id, int64_t *epoch)
{
    struct rows row;
    int rc = -ENOTCONN;

    if (id->is_asking) {
        rc = completion_await(&id->wait.done, "auth epoch", TASK_FOREVER);
        if (rc == -ECANCELED && task_is_cancelled(task_self()))
            return rc; /* ours, not the question's */
        id->is_asking = false;
    }
    if (rc == 0) {
        *epoch = id->wait.epoch;
        return 0;
    }
    TRY(sql_auth_epoch_await(r, &row));
    *epoch = row_i64(&row, 0, "epoch");
    return 0;
}

int auth_confirm_await(struct req *r)
{
    struct identity *id = r->identity;
    int64_t epoch;
    int rc;

    if (id == NULL || id->is_confirmed)
        return 0;
    if (id->is_stale)
        return -ESTALE;
    r->confirm = NULL; /* the statement itself waits for nothing */
    rc = identity_epoch_await(r, id, &epoch);
    if (rc == 0 && id->grants->epoch == epoch) {
        identity_confirm(r, id);
        return 0;
    }
    r->confirm = auth_confirm_await;
    if (rc < 0)
        return rc;
    cache_forget(r->server->app->auth, &id->cache_key);
    id->is_stale = true;
    return -ESTALE;
}

/*
 * The grants of a credential as they are now, held for the caller: the cached ones
 * when the epoch is still theirs. 0 and *g, NULL when the credential is not valid.
 */
static int grants_current_await(struct req *r, const struct credential *c, struct grants **g)
{
    struct grants *cached = cache_find(r->server->app->auth, &c->cache_key);
    struct rows row;
    int rc;

    if (cached == NULL)
        return grants_load_await(r, c, g);
    cached->holds++;
    rc = sql_auth_epoch_await(r, &row);
    if (rc >= 0 && row_i64(&row, 0, "epoch") == cached->epoch) {
        *g = cached;
        return 0;
    }
    grants_drop(cached);
    if (rc < 0)
        return rc;
    cache_forget(r->server->app->auth, &c->cache_key);
    return grants_load_await(r, c, g);
}

static struct credential credential_of_ids(struct str user_id, struct str api_key_id, const struct uuid *user,
                                           const struct uuid *key)
{
    struct credential c = {.user_id = user_id, .api_key_id = api_key_id};

    memcpy(c.cache_key.bytes, user->bytes, sizeof(user->bytes));
    if (key != NULL)
        memcpy(c.cache_key.bytes + sizeof(user->bytes), key->bytes, sizeof(key->bytes));
    return c;
}

int auth_refuse(struct req *r, const char *detail)
{
    reply_header(r, "WWW-Authenticate", STR("Bearer"));
    return fail(r, 401, "%s", detail);
}

static int current_by_ids_await(struct req *r, struct str user_id, struct str api_key_id,
                                struct credential *c, struct grants **g)
{
    struct uuid user, key;
    bool has_key = !str_is_none(api_key_id);

    if (uuid_parse(user_id, &user, NULL) < 0 || (has_key && uuid_parse(api_key_id, &key, NULL) < 0))
        return auth_refuse(r, "User not found");
    *c = credential_of_ids(user_id, api_key_id, &user, has_key ? &key : NULL);
    TRY(grants_current_await(r, c, g));
    return *g != NULL ? 0 : auth_refuse(r, has_key ? "Invalid or expired credentials" : "User not found");
}

struct identity *auth_identity_load_await(struct req *r, struct str user_id, struct str api_key_id)
{
    struct credential c;
    struct grants *g;
    struct identity *id;

    if (current_by_ids_await(r, user_id, api_key_id, &c, &g) < 0)
        return NULL;
    id = identity_new(r, g, &c.cache_key);
    id->is_confirmed = true;
    return id;
}

int auth_identity_refresh_await(struct req *r)
{
    struct identity *id = r->identity;
    struct credential c;
    struct grants *g;

    TRY(current_by_ids_await(r, id->user_id, id->api_key_id, &c, &g));
    grants_drop(id->grants);
    id->grants = g;
    return 0;
}

/* ---- the credential of a request ---- */

/* X-API-Key alone decides when it is there (§2.6). STR_NONE without any. */
static struct str credential_text(const struct req *r)
{
    struct str key = str_trim(header(r, "x-api-key"));
    struct str rest = str_trim(header(r, "authorization"));
    struct str scheme;

    if (key.n != 0)
        return key;
    scheme = str_cut(&rest, ' ');
    rest = str_trim(rest);
    return str_ieq(scheme, STR("bearer")) && rest.n != 0 ? rest : STR_NONE;
}

static bool looks_like_jwt(struct str text)
{
    size_t dots = 0;

    for (size_t i = 0; i < text.n; i++)
        dots += text.p[i] == '.';
    return dots == 2;
}

/* 1: an access token of ours; 0: it is none; -1: 401 is set. */
static int credential_from_jwt(struct req *r, struct str text, struct credential *c)
{
    struct jwt_access access;
    int rc = jwt_access_verify(&r->arena, conf.secret_key, text, clock_real_us() / 1000000, &access);

    if (rc == -EPROTO)
        return auth_refuse(r, "Invalid token payload");
    if (rc < 0)
        return 0;
    *c = credential_of_ids(uuid_text(&r->arena, &access.user),
                           access.has_api_key ? uuid_text(&r->arena, &access.api_key) : STR_NONE,
                           &access.user, access.has_api_key ? &access.api_key : NULL);
    return 1;
}

static struct limit key_failures(struct req *r)
{
    return (struct limit){
        .key = arena_strf(&r->arena, "api_key:ip:" STR_FMT, STR_ARG(r->client)),
        .max = 60,
        .window_s = 60,
    };
}

static int credential_read(struct req *r, struct credential *c)
{
    struct str text = credential_text(r);
    int rc;

    if (str_is_none(text))
        return auth_refuse(r, "Missing authorization header");
    if (looks_like_jwt(text)) {
        rc = credential_from_jwt(r, text, c);
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
    /* No API key has a dot: what is left of the tokens need not be looked up. */
    if (str_find_byte(text, '.') >= 0)
        return auth_refuse(r, "Invalid or expired credentials");
    *c = (struct credential){.cache_key = hash_sha256(text)};
    c->key_hash = hex_encode(&r->arena, hash_str(&c->cache_key));
    return 0;
}

static int refuse_unknown_await(struct req *r, const struct credential *c)
{
    struct limit limit = key_failures(r);

    if (!str_is_none(c->key_hash)) {
        TRY(limit_hit_await(r, &limit));
        return auth_refuse(r, "Invalid or expired credentials");
    }
    return auth_refuse(r, str_is_none(c->api_key_id) ? "User not found" : "Invalid or expired credentials");
}

/* Takes over the hold on g. */
static void identity_set(struct req *r, const struct credential *c, struct grants *g)
{
    r->identity = identity_new(r, g, &c->cache_key);
    r->identity->is_key_text = !str_is_none(c->key_hash);
    memcpy(r->user_id, g->user_id, USER_ID_SIZE); /* for the access log */
}

static int authenticate_cold_await(struct req *r, const struct credential *c)
{
    struct limit limit = key_failures(r);
    struct grants *g;

    if (!str_is_none(c->key_hash))
        TRY(limit_check(r, &limit));
    TRY(grants_load_await(r, c, &g));
    if (g == NULL)
        return refuse_unknown_await(r, c);
    identity_set(r, c, g);
    identity_confirm(r, r->identity);
    return 0;
}

/* The credential with its cached grants, to be confirmed. */
static void authenticate_warm(struct req *r, const struct credential *c, struct grants *g)
{
    g->holds++;
    identity_set(r, c, g);
    identity_ask(r->server, r->identity);
    r->confirm = auth_confirm_await;
}

int auth_authenticate_await(struct req *r, bool may_defer)
{
    struct credential c;
    struct grants *cached;
    int rc;

    r->identity = NULL;
    r->confirm = NULL;
    TRY(credential_read(r, &c));
    cached = cache_find(r->server->app->auth, &c.cache_key);
    if (cached == NULL)
        return authenticate_cold_await(r, &c);
    authenticate_warm(r, &c, cached);
    if (may_defer)
        return 0;
    rc = auth_confirm_await(r);
    if (rc != -ESTALE)
        return rc;
    r->identity = NULL;
    r->confirm = NULL;
    return authenticate_cold_await(r, &c);
}

/* ---- questions ---- */

struct str auth_user_id(const struct req *r)
{
    return r->identity->user_id;
}

struct str auth_user_email(const struct req *r)
{
    return r->identity->email;
}

struct str auth_api_key_id(const struct req *r)
{
    return r->identity->api_key_id;
}

struct perm_scope auth_scope(const struct req *r)
{
    return grants_scope(r->identity->grants);
}

bool auth_permits(struct req *r, struct str permission)
{
    struct perm_scope scope = auth_scope(r);

    return perm_has(&scope, permission);
}

bool auth_permitsf(struct req *r, const char *format, ...)
{
    va_list args;
    struct str permission;

    va_start(args, format);
    permission = arena_vstrf(&r->arena, format, args);
    va_end(args);
    return auth_permits(r, permission);
}

int auth_require(struct req *r, struct str permission)
{
    if (auth_permits(r, permission))
        return 0;
    return fail(r, 403, "Permission denied: " STR_FMT, STR_ARG(permission));
}

struct str auth_token(struct arena *a, struct str user_id, struct str email, struct str api_key_id,
                      int64_t lifetime_s)
{
    struct jwt_access access = {.email = email, .has_api_key = !str_is_none(api_key_id)};
    int rc = uuid_parse(user_id, &access.user, NULL);

    if (access.has_api_key)
        rc |= uuid_parse(api_key_id, &access.api_key, NULL);
    assert(rc == 0); /* the ids come from uuid columns */
    (void)rc;
    return jwt_access_sign(a, conf.secret_key, &access, clock_real_us() / 1000000, lifetime_s);
}
