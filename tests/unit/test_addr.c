#include "test.h"

#include "addr.h"
#include "cors.h"
#include "source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static const struct {
    const char *text;
    const char *written; /* NULL: refused */
} addresses[] = {
    {"1.2.3.4", "1.2.3.4"},
    {" 1.2.3.4 ", "1.2.3.4"},
    {"1.2.3.4:80", "1.2.3.4"},
    {"::1", "::1"},
    {"[::1]", "::1"},
    {"[2001:DB8::1]:443", "2001:db8::1"},
    {"::ffff:1.2.3.4", "1.2.3.4"},
    {"0.0.0.0", "0.0.0.0"},
    {"", NULL},
    {"unknown", NULL},
    {"_hidden", NULL},
    {"1.2.3", NULL},
    {"1.2.3.4.5", NULL},
    {"1.2.3.256", NULL},
    {"01.2.3.4", NULL},
    {"1.2.3.4/8", NULL},
    {"[::1", NULL},
    {"[]", NULL},
    {":::1", NULL},
    {"fe80::1%eth0", NULL},
    {"1.2.3.4, 5.6.7.8", NULL},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
};

TEST(addr_parse_table)
{
    for (size_t i = 0; i < nelem(addresses); i++) {
        char text[ADDR_TEXT_SIZE];
        struct addr parsed;
        int rc = addr_parse(str_from(addresses[i].text), &parsed);

        CHECK_INT(rc, addresses[i].written != NULL ? 0 : -EINVAL);
        if (rc == 0 && addresses[i].written != NULL)
            CHECK_STR(addr_text(text, &parsed), str_from(addresses[i].written));
    }
}

TEST(addr_of_sockets)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[ADDR_TEXT_SIZE];
    struct addr parsed;

    CHECK_INT(inet_pton(AF_INET, "9.8.7.6", &in.sin_addr), 1);
    parsed = addr_of((struct sockaddr *)&in);
    CHECK_STR(addr_text(text, &parsed), STR("9.8.7.6"));
    parsed = addr_of((struct sockaddr *)&in6);
    CHECK_STR(addr_text(text, &parsed), STR("::1"));
    parsed = addr_of((struct sockaddr *)&un);
    CHECK_STR(addr_text(text, &parsed), STR("127.0.0.1"));
}

static const struct {
    const char *nets, *addr;
    int have; /* or -EINVAL */
} nets_rows[] = {
    {"", "1.2.3.4", 0},
    {"127.0.0.0/8,::1", "127.9.9.9", 1},
    {"127.0.0.0/8,::1", "128.0.0.1", 0},
    {"127.0.0.0/8, ::1 ,", "::1", 1},
    {"127.0.0.0/8,::1", "::2", 0},
    {"10.1.2.3", "10.1.2.3", 1},
    {"10.1.2.3", "10.1.2.2", 0},
    {"10.1.2.3/32", "10.1.2.3", 1},
    {"10.1.2.0/25", "10.1.2.127", 1},
    {"10.1.2.0/25", "10.1.2.128", 0},
    {"0.0.0.0/0", "200.1.2.3", 1},
    {"0.0.0.0/0", "2001:db8::1", 0},
    {"::/0", "2001:db8::1", 1},
    {"::/0", "1.2.3.4", 1},
    {"2001:db8::/33", "2001:db8:7fff::1", 1},
    {"2001:db8::/33", "2001:db8:8000::1", 0},
    {"10.0.0.0/33", "10.0.0.0", -EINVAL},
    {"10.0.0.0/-1", "10.0.0.0", -EINVAL},
    {"10.0.0.0/", "10.0.0.0", -EINVAL},
    {"10.0.0.0/x", "10.0.0.0", -EINVAL},
    {"::/129", "::", -EINVAL},
    {"proxy.example", "10.0.0.0", -EINVAL},
    {"10.0.0.0/8;11.0.0.0/8", "10.0.0.0", -EINVAL},
};

TEST(addr_nets_table)
{
    for (size_t i = 0; i < nelem(nets_rows); i++) {
        struct addr_nets nets;
        struct addr parsed;
        int rc = addr_nets_parse(&nets, str_from(nets_rows[i].nets));

        CHECK_INT(addr_parse(str_from(nets_rows[i].addr), &parsed), 0);
        if (rc == 0)
            rc = addr_nets_have(&nets, &parsed);
        if (rc != nets_rows[i].have)
            test_failed(__FILE__, __LINE__, "%s in %s: %d", nets_rows[i].addr, nets_rows[i].nets, rc);
        addr_nets_fini(&nets);
    }
}

static const struct {
    const char *peer, *first, *second; /* two X-Forwarded-For fields */
    const char *client;
} forwarded_rows[] = {
    {"10.0.0.1", NULL, NULL, "10.0.0.1"},
    {"10.0.0.1", "1.1.1.1", NULL, "1.1.1.1"},
    {"10.0.0.1", "1.1.1.1, 2.2.2.2", NULL, "2.2.2.2"},
    {"10.0.0.1", "1.1.1.1, 2.2.2.2, 10.0.0.2", NULL, "2.2.2.2"},
    {"10.0.0.1", "1.1.1.1", "2.2.2.2", "2.2.2.2"},
    {"10.0.0.1", "1.1.1.1", "10.0.0.3", "1.1.1.1"},
    {"10.0.0.1", "10.0.0.2, 10.0.0.3", NULL, "10.0.0.2"}, /* all are trusted: the farthest */
    {"10.0.0.1", "1.1.1.1, junk, 10.0.0.3", NULL, "10.0.0.3"},
    {"10.0.0.1", "junk", NULL, "10.0.0.1"},
    {"10.0.0.1", "", NULL, "10.0.0.1"},
    {"10.0.0.1", "[2001:db8::1]:4711", NULL, "2001:db8::1"},
    {"9.9.9.9", "1.1.1.1", NULL, "9.9.9.9"},
};

TEST(addr_client_behind_proxies)
{
    struct addr_nets trusted;

    CHECK_INT(addr_nets_parse(&trusted, STR("10.0.0.0/8")), 0);
    for (size_t i = 0; i < nelem(forwarded_rows); i++) {
        const struct http_field fields[2] = {
            {STR("X-Forwarded-For"), str_from(forwarded_rows[i].first)},
            {STR("x-forwarded-for"), str_from(forwarded_rows[i].second)},
        };
        const struct http_head head = {.fields = fields,
                                       .fields_count = forwarded_rows[i].second != NULL  ? 2
                                                       : forwarded_rows[i].first != NULL ? 1
                                                                                         : 0};
        char text[ADDR_TEXT_SIZE];
        struct addr peer, client;

        CHECK_INT(addr_parse(str_from(forwarded_rows[i].peer), &peer), 0);
        client = addr_client(&head, &trusted, &peer);
        CHECK_STR(addr_text(text, &client), str_from(forwarded_rows[i].client));
    }
    addr_nets_fini(&trusted);
}

TEST(source_counts_connections_of_an_address)
{
    enum { COUNT = 1000 };
    static struct source *sources[COUNT];
    struct sources table;
    struct addr addr = {{0x20, 1}};

    sources_init(&table);
    for (unsigned i = 0; i < COUNT; i++) {
        addr.bytes[14] = (unsigned char)(i / 2 >> 8);
        addr.bytes[15] = (unsigned char)(i / 2);
        sources[i] = source_get(&table, &addr);
        CHECK_INT(sources[i]->connections, i % 2 + 1);
        CHECK_INT(source_connections(&table, &addr), i % 2 + 1);
    }
    CHECK_INT(table.count, COUNT / 2);
    for (unsigned i = 0; i < COUNT; i++)
        source_put(&table, sources[i]);
    CHECK_INT(table.count, 0);
    CHECK_INT(source_connections(&table, &addr), 0);
    sources_fini(&table);
}

TEST(cors_star_in_the_list_allows_all)
{
    struct cors c;

    cors_init(&c, STR("https://a.example,*"), STR_NONE);
    CHECK(cors_allows(&c, STR("https://b.example")));
    cors_fini(&c);
    cors_init(&c, STR(" , "), STR("x"));
    CHECK(cors_allows(&c, STR("null")));
    cors_fini(&c);
    cors_init(&c, STR("null"), STR_NONE);
    CHECK(!cors_allows(&c, STR("null")));
    CHECK(cors_allows(&c, STR("http://localhost:51245")));
    CHECK(!cors_allows(&c, STR_NONE));
    cors_fini(&c);
}
