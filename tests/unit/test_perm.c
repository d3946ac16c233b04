#include "test.h"

#include "handlers/perm.h"
#include "handlers/perm_defaults.h"

#include "tests/fuzz/perm_reference.h"

/* Spec 10 §4.4. */
static const struct {
    const char *granted, *required;
    bool matches;
} examples[] = {
    {"sinas.chats.read:own", "sinas.chats.read:own", true},
    {"sinas.chats.read:own", "sinas.chats.read:all", false},
    {"sinas.chats.read:all", "sinas.chats.read:own", true},
    {"sinas.chats.read:all", "sinas.chats.read:all", true},
    {"sinas.chats.read:*", "sinas.chats.read:all", true},
    {"sinas.chats.read:all", "sinas.chats.read:*", false},
    {"sinas.chats.read:team", "sinas.chats.read:own", false},
    {"sinas.chats.read:team", "sinas.chats.read:team", true},
    {"sinas.chats.read", "sinas.chats.read:own", false},
    {"sinas.chats.read:own", "sinas.chats.update:own", false},
    {"Sinas.chats.read:own", "sinas.chats.read:own", false},
    {"sinas.chats.*:own", "sinas.chats.update:own", true},
    {"sinas.chats.*:own", "sinas.chats.update:all", false},
    {"sinas.chats.*:all", "sinas.executions.read:own", false},
    {"sinas.chats.*:own", "sinas.chats.messages.read:own", true},
    {"sinas.agents.*:own", "sinas.agents/support/bot.delete:own", true},
    {"sinas.functions.*:all", "sinas.functions/a/b.execute:all", true},
    {"sinas.*:all", "sinas.chats.read:own", true},
    {"sinas.*:all", "sinas.functions/marketing/send.execute:all", true},
    {"sinas.*:all", "sinas.a.b.c.read:all", true},
    {"sinas.*:all", "sinas.read:own", true},
    {"sinas.*:own", "sinas.agents.read:own", true},
    {"sinas.*:own", "sinas.agents/support/bot.read:all", false},
    {"sinas.*:all", "sinasx.agents.read:own", false},
    {"sinas.*:all", "titan.courses.read:own", false},
    {"*.*:all", "titan.courses/math/algebra.enroll:own", true},
    {"*.*:own", "sinas.agents.read:own", true},
    {"*:all", "sinas.agents.read:own", false},
    {"*.users.read:all", "titan.users.read:own", true},
    {"*.courses.read:all", "titan.courses/x/y.read:own", false},
    {"sinas.*.read:all", "sinas.users.read:own", true},
    {"sinas.*.read:all", "sinas.agents/support/bot.read:own", true},
    {"sinas.*.read:all", "sinas.agents/support/bot.update:own", false},
    {"sinas.*.read:all", "sinas.a.b.read:own", true},
    {"sinas.*.read:all", "sinas.read:own", true},
    {"sinas.*.users.read:all", "sinas.x.users.read:own", true},
    {"sinas.*.users.read:all", "sinas.users.read:own", false},
    {"sinas.agents/*/*.chat:all", "sinas.agents/support/ticket-bot.chat:all", true},
    {"sinas.agents/*/*.chat:all", "sinas.agents/support/ticket-bot.read:own", false},
    {"sinas.agents/support/ticket-bot.chat:own", "sinas.agents/support/ticket-bot.chat:own", true},
    {"sinas.agents/support/ticket-bot.chat:own", "sinas.agents/support/other.chat:own", false},
    {"sinas.functions/marketing/*.execute:own", "sinas.functions/marketing/send_email.execute:own", true},
    {"sinas.functions/marketing/*.execute:own", "sinas.functions/sales/send_email.execute:own", false},
    {"sinas.functions/*/send_email.execute:own", "sinas.functions/sales/send_email.execute:own", true},
    {"sinas.functions/*/send_email.execute:own", "sinas.functions/sales/other.execute:own", false},
    {"sinas.functions/marketing/send*.execute:own", "sinas.functions/marketing/send_email.execute:own",
     false},
    {"sinas.functions/*.execute:own", "sinas.functions/marketing/send_email.execute:own", false},
    {"sinas.functions/*/*/*.execute:own", "sinas.functions/marketing/send_email.execute:own", false},
    {"sinas.functions/marketing/*.*:own", "sinas.functions/marketing/send_email.delete:own", true},
    {"sinas.functions/marketing/*.*:own", "sinas.functions/sales/x.delete:own", false},
    {"sinas.*/support/*.read:own", "sinas.skills/support/tone.read:own", true},
    {"sinas.*/support/*.read:own", "sinas.users.read:own", false},
    {"sinas.functions/marketing/*.read:all", "sinas.functions/*/*.read:all", false},
    {"sinas.functions/*/*.read:all", "sinas.functions/marketing/*.read:own", true},
    {"sinas.agents.read:all", "sinas.agents.read:own", true},
    {"sinas.agents.read:all", "sinas.agents/support/bot.read:own", true},
    {"sinas.agents.read:own", "sinas.agents/support/bot.read:all", false},
    {"sinas.agents/*/*.create:own", "sinas.agents.create:own", true},
    {"sinas.agents/support/*.create:own", "sinas.agents.create:own", false},
    {"sinas.agents.create:own", "sinas.agents/*/*.create:own", true},
    {"sinas.functions/*/*.shared_pool:all", "sinas.functions.shared_pool:all", true},
    {"sinas.states/*.read:own", "sinas.states/preferences.read:own", true},
    {"sinas.states/*.read:own", "sinas.states/preferences/theme.read:own", false},
    {"sinas.states.read:own", "sinas.states/preferences.read:own", true},
    {"sinas.states/api_keys.read:all", "sinas.states/api_keys.read:own", true},
    {"sinas.states/api_keys.read:all", "sinas.states/configs.read:own", false},
    {"sinas.agents/*/*.read:own", "sinas.agents/support/gpt4.5.read:own", true},
    {"sinas.agents/support/a:b.read:own", "sinas.agents/support/a:b.read:own", true},
    {"sinas.system.*:all", "sinas.system.update:all", true},
    {"sinas.logs.read:own", "sinas.logs.read:all", false},
    {"titan.student_profile.read:own", "titan.student_profile.read:own", true},
    {"titan.courses/math/*.enroll:own", "titan.courses/math/algebra.enroll:own", true},
    {"titan.courses/math/*.enroll:own", "titan.courses.enroll:own", false},
    {"titan.courses.enroll:own", "titan.courses/math/algebra.enroll:own", false},
    {"acme.billing.invoices.read:all", "acme.billing.invoices.read:own", true},
    {"acme.billing.*:all", "acme.billing.invoices.read:own", true},
    {"acme.*.read:all", "acme.billing.invoices.read:own", true},
    {"acme.billing.read:all", "acme.billing.invoices.read:own", false},
    {"myapp.*:all", "myapp.files/a/b/c/d.read:all", true},
    {"myapp.*:all", "myapp2.files.read:own", false},
    {"beta-flag", "beta-flag", true},
};

static struct perm_set *set_of(struct arena *a, const char *const *texts)
{
    struct str granted[80];
    size_t n = 0;

    for (; texts[n] != NULL; n++)
        granted[n] = str_from(texts[n]);
    return perm_set_new(a, granted, n);
}

#define SET(...) set_of(a, (const char *const[]){__VA_ARGS__ NULL})

TEST(perm_has_the_worked_examples)
{
    CHECK_INT(nelem(examples), 81);
    for (size_t i = 0; i < nelem(examples); i++) {
        struct str granted = str_from(examples[i].granted);
        struct str required = str_from(examples[i].required);

        if (perm_set_has(perm_set_new(a, &granted, 1), required) != examples[i].matches)
            test_failed(__FILE__, __LINE__, "example %zu", i + 1);
        if (reference_has(a, granted, required) != examples[i].matches)
            test_failed(__FILE__, __LINE__, "example %zu, reference", i + 1);
    }
}

/* False entries are left out by the loader, so the value cases come down to these. */
TEST(perm_set_is_a_union)
{
    CHECK(!perm_set_has(SET(), STR("sinas.chats.read:own")));
    CHECK(!perm_set_has(NULL, STR("sinas.chats.read:own")));
    CHECK(perm_set_has(SET("sinas.users.read:own", "sinas.chats.*:own", ), STR("sinas.chats.read:own")));
    CHECK(!perm_set_has(SET("sinas.users.read:own", "sinas.chats.*:own", ), STR("sinas.chats.read:all")));
    CHECK_STR(perm_set_at(SET("a", "b", ), 1), STR("b"));
    CHECK(str_is_none(perm_set_at(SET("a", "b", ), 2)));
}

TEST(perm_set_finds_single_names_among_many)
{
    enum { COUNT = 200 };
    struct str *grants = arena_alloc(a, COUNT * sizeof(*grants));
    struct perm_set *set;

    for (size_t i = 0; i < (size_t)COUNT; i++)
        grants[i] = arena_strf(a, "sinas.agents/support/bot%zu.chat:%s", i, i % 2 == 0 ? "own" : "all");
    grants[100] = STR("sinas.agents/sales/*.chat:own");
    grants[101] = STR("sinas.agents/support/bot3.chat:own"); /* beside the one that reaches all */
    grants[102] = STR("sinas.agents/support/bot4.chat:all"); /* beside the one that does not */
    set = perm_set_new(a, grants, (size_t)COUNT);
    CHECK(perm_set_has(set, STR("sinas.agents/support/bot198.chat:own")));
    CHECK(!perm_set_has(set, STR("sinas.agents/support/bot198.chat:all")));
    CHECK(perm_set_has(set, STR("sinas.agents/support/bot199.chat:all")));
    CHECK(perm_set_has(set, STR("sinas.agents/support/bot3.chat:all")));
    CHECK(perm_set_has(set, STR("sinas.agents/support/bot4.chat:all")));
    CHECK(perm_set_has(set, STR("sinas.agents/sales/any.chat:own")));
    CHECK(!perm_set_has(set, STR("sinas.agents/support/bot100.chat:own")));
    CHECK(!perm_set_has(set, STR("sinas.agents/support/bot1.read:own")));
    CHECK(!perm_set_has(set, STR("sinas.agents/support/bot1.chat:team")));
    CHECK(!perm_set_has(set, STR("sinas.agents/support/bot1")));
    CHECK_STR(perm_set_at(set, 100), grants[100]);
}

/* Every pair out of pieces that matter, against the text of the contract. */
TEST(perm_agrees_with_the_reference)
{
    static const char *const bases[] = {"sinas.agents", "sinas.states", "sinas",     "sinas.*", "*",
                                        "*.agents",     "sinas.x.y",    "sinas.*.y", ""};
    static const char *const paths[] = {"", "/a/b", "/*/*", "/a/*", "/a", "/*", "/a/b/c", "/"};
    static const char *const actions[] = {".read", ".*", ""};
    static const char *const scopes[] = {":own", ":all", ":*", ":team", ""};
    struct str *all =
        arena_alloc(a, nelem(bases) * nelem(paths) * nelem(actions) * nelem(scopes) * sizeof(*all));
    size_t count = 0;

    for (size_t b = 0; b < nelem(bases); b++)
        for (size_t p = 0; p < nelem(paths); p++)
            for (size_t c = 0; c < nelem(actions); c++)
                for (size_t s = 0; s < nelem(scopes); s++)
                    all[count++] = arena_strf(a, "%s%s%s%s", bases[b], paths[p], actions[c], scopes[s]);
    for (size_t i = 0; i < count; i++) {
        struct perm_set *set = perm_set_new(a, &all[i], 1);

        CHECK(perm_set_has(set, all[i]));
        for (size_t k = i % 7; k < count; k += 7) { /* a seventh of all pairs, 165 000 */
            struct arena scratch;

            arena_init(&scratch);
            if (perm_set_has(set, all[k]) != reference_has(&scratch, all[i], all[k]))
                test_failed(__FILE__, __LINE__, STR_FMT " and " STR_FMT, STR_ARG(all[i]), STR_ARG(all[k]));
            arena_fini(&scratch);
        }
    }
}

TEST(perm_scope_needs_both_of_key_and_user)
{
    struct perm_scope login = {SET("sinas.chats.*:all", "sinas.users.read:own", ), NULL};
    struct perm_scope key = {login.user, SET("sinas.chats.read:own", "sinas.roles.read:all", )};
    struct perm_scope empty_key = {login.user, SET()};

    CHECK(perm_has(&login, STR("sinas.chats.read:all")));
    CHECK(perm_has(&key, STR("sinas.chats.read:own")));
    CHECK(!perm_has(&key, STR("sinas.chats.read:all")));
    CHECK(!perm_has(&key, STR("sinas.chats.update:own")));
    CHECK(!perm_has(&key, STR("sinas.roles.read:all"))); /* the owner was demoted */
    CHECK(!perm_has(&empty_key, STR("sinas.chats.read:own")));
    CHECK(perm_hasf(&login, "sinas.%s.%s:own", "chats", "read"));
    CHECK(!perm_hasf(&login, "sinas.%s.%s:own", "agents", "read"));
}

TEST(perm_covers_names_every_violation)
{
    struct perm_scope login = {SET("sinas.agents/*/*.read:all", "sinas.chats.read:own", ), NULL};
    struct str good[] = {STR("sinas.agents/*/*.read:own"), STR("sinas.agents/a/*.read:all"),
                         STR("sinas.chats.read:own")};
    struct str bad[] = {STR("sinas.*:all"), STR("sinas.chats.read:own"), STR("sinas.chats.read:all"),
                        STR("sinas.agents/*/*.*:own")};
    struct buf violations;

    buf_init_arena(&violations, a);
    CHECK(perm_covers(&login, good, nelem(good), &violations));
    CHECK_INT(buf_size(&violations), 0);
    CHECK(!perm_covers(&login, bad, nelem(bad), &violations));
    CHECK_STR(buf_str(&violations), STR("sinas.*:all, sinas.chats.read:all, sinas.agents/*/*.*:own"));
    CHECK(!perm_covers(&login, bad, nelem(bad), NULL));
}

TEST(perm_row_is_the_rule_of_the_contract)
{
    struct perm_scope all = {SET("sinas.agents/*/*.read:all", ), NULL};
    struct perm_scope own = {SET("sinas.agents/*/*.*:own", ), NULL};
    struct perm_scope other = {SET("sinas.agents/b/*.*:all", ), NULL};
    struct perm_target t = {STR("agents"), STR("a"), STR("x"), .has_owner = true};

    CHECK(perm_row(&all, &t, STR("read")));
    CHECK(!perm_row(&all, &t, STR("update")));
    CHECK(!perm_row(&own, &t, STR("read")));
    CHECK(!perm_row(&other, &t, STR("read")));
    CHECK_INT(perm_reach(&all, &t, STR("read")), PERM_ALL);
    CHECK_INT(perm_reach(&own, &t, STR("read")), PERM_OWN);
    CHECK_INT(perm_reach(&other, &t, STR("read")), PERM_NONE);
    t.is_owner = true;
    CHECK(perm_row(&own, &t, STR("read")) && perm_row(&own, &t, STR("delete")));
    t.is_owner = false;
    t.is_visible = true;
    CHECK(perm_row(&own, &t, STR("read")) && perm_row(&own, &t, STR("render")));
    CHECK(perm_row(&own, &t, STR("list")) && perm_row(&own, &t, STR("download")) &&
          perm_row(&own, &t, STR("execute")));
    CHECK(!perm_row(&own, &t, STR("update")) && !perm_row(&own, &t, STR("delete")));
    t.is_visible = false;
    t.has_owner = false;
    CHECK(perm_row(&own, &t, STR("update")));
    CHECK(!perm_row(&other, &t, STR("update")));
}

TEST(perm_row_of_an_api_key_needs_both)
{
    struct perm_scope key = {SET("sinas.agents/*/*.read:all", ), SET("sinas.agents/*/*.read:own", )};
    struct perm_target t = {STR("agents"), STR("a"), STR("x"), .has_owner = true};

    CHECK_INT(perm_reach(&key, &t, STR("read")), PERM_OWN);
    CHECK(!perm_row(&key, &t, STR("read")));
}

TEST(perm_row_takes_names_as_they_are)
{
    struct perm_scope one = {SET("sinas.agents/a/*.read:all", ), NULL};
    struct perm_scope admin = {SET("sinas.*:all", ), NULL};
    struct str longest = str_of(memset(arena_bytes(a, 1020), 'x', 1020), 1020);
    struct perm_target t = {STR("agents"), STR("a"), STR("b.c: d*"), .has_owner = true};

    CHECK(perm_row(&one, &t, STR("read")));
    t.space = STR("a/b"); /* not two segments of another's path */
    t.name = STR_NONE;
    CHECK(perm_row(&admin, &t, STR("read")));
    t = (struct perm_target){STR("agents"), longest, longest, .has_owner = true};
    CHECK(perm_row(&admin, &t, STR("read")));
    CHECK(!perm_row(&one, &t, STR("read")));
    t = (struct perm_target){STR("states"), STR("prefs"), STR_NONE, .has_owner = true};
    CHECK_STR(perm_text(a, &t, STR("read"), STR("own")), STR("sinas.states/prefs.read:own"));
    t = (struct perm_target){.kind = STR("chats")};
    CHECK_STR(perm_text(a, &t, STR("read"), STR("all")), STR("sinas.chats.read:all"));
}

TEST(perm_create_takes_the_path_or_none)
{
    struct perm_scope pathless_user = {SET("sinas.agents.create:own", ), NULL};
    struct perm_scope user = {SET("sinas.agents/*/*.create:own", ), NULL};
    struct perm_scope team = {SET("sinas.agents/team/*.create:own", ), NULL};
    struct perm_target t = {STR("agents"), STR("team"), STR("x"), .has_owner = true};

    CHECK(perm_create(&pathless_user, &t) && perm_create(&user, &t) && perm_create(&team, &t));
    t.space = STR("other");
    CHECK(perm_create(&pathless_user, &t) && perm_create(&user, &t) && !perm_create(&team, &t));
}

TEST(perm_is_valid_knows_the_grammar)
{
    static const char *const good[] = {
        "sinas.*:all",
        "*.*:own",
        "sinas.agents/*/*.chat:all",
        "sinas.chats.read:*",
        "acme.billing.invoices.read:own",
        "sinas.agents/support/a:b (1).x.read:own",
        "sinas.functions/\xc3\xa9/*.execute:own",
    };
    static const char *const bad[] = {
        "",
        "beta-flag",
        "*:all",
        "sinas.chats.read",
        "sinas.chats.read:team",
        "sinas.chats.read:",
        "sinas..read:own",
        ".read:own",
        "sinas.chats.:own",
        "sinas.agents/.read:own",
        "sinas.agents//x.read:own",
        "sinas.ag*.read:own",
        "sinas.agents/a*/b.read:own",
        "sinas.agents/a/b.re*:own",
        "sinas.chats.re ad:own",
        "sinas.chats.a/b:own",
        "sinas.agents/a/b\n.read:own",
        "sinas.agents/\xff.read:own",
    };

    for (size_t i = 0; i < nelem(good); i++) {
        if (!perm_is_valid(str_from(good[i])))
            test_failed(__FILE__, __LINE__, "refused %s", good[i]);
    }
    for (size_t i = 0; i < nelem(bad); i++) {
        if (perm_is_valid(str_from(bad[i])))
            test_failed(__FILE__, __LINE__, "accepted '%s'", bad[i]);
    }
    CHECK(perm_is_valid(arena_strf(a, "%0*d.x.read:own", PERM_LENGTH_MAX - 11, 0)));
    CHECK(!perm_is_valid(arena_strf(a, "%0*d.x.read:own", PERM_LENGTH_MAX - 10, 0)));
}

TEST(perm_defaults_are_valid_and_complete)
{
    size_t keys = 0;

    CHECK_INT(perm_roles_count, 3);
    for (size_t i = 0; i < perm_roles_count; i++) {
        for (size_t k = 0; k < perm_roles[i].permissions_count; k++, keys++)
            CHECK(perm_is_valid(str_from(perm_roles[i].permissions[k])));
    }
    CHECK_INT(keys, 2 + 65 + 1);
    CHECK_INT(perm_resources_count, 26);
    for (size_t i = 0; i < perm_resources_count; i++)
        CHECK(strlen(perm_resources[i].description) > 0 && strlen(perm_resources[i].actions) > 0);
}

/* What §4.7 says that ordinary users do not hold, and what §4.3 is for. */
TEST(perm_defaults_of_users)
{
    static const char *const not_held[] = {
        "sinas.queries/a/b.execute:own",
        "sinas.components/a/b.create:own",
        "sinas.dependencies.read:own",
        "sinas.packages.read:own",
        "sinas.config.read:own",
        "sinas.system.read:own",
        "sinas.roles.read:own",
        "sinas.llm_providers.read:own",
        "sinas.database_connections.read:own",
        "sinas.functions.shared_pool:all",
    };
    const struct perm_role *users = &perm_roles[1];
    struct str granted[80];
    struct perm_scope scope = {NULL, NULL};

    CHECK_STR(str_from(users->name), STR("Users"));
    for (size_t i = 0; i < users->permissions_count; i++)
        granted[i] = str_from(users->permissions[i]);
    scope.user = perm_set_new(a, granted, users->permissions_count);
    for (size_t i = 0; i < nelem(not_held); i++)
        CHECK(!perm_has(&scope, str_from(not_held[i])));
    CHECK(perm_has(&scope, STR("sinas.agents.create:own")));
    CHECK(perm_has(&scope, STR("sinas.agents/support/bot.chat:own")));
    CHECK(perm_has(&scope, STR("sinas.webhooks.create:own")));
}
