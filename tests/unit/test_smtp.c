#include "test.h"
#include "workers/smtp.h"

static int reply(struct str text, size_t *size)
{
    *size = 0;
    return smtp_reply(text, size);
}

TEST(smtp_replies_of_one_and_of_several_lines)
{
    size_t size;

    CHECK_INT(reply(STR("250 fine\r\nmore"), &size), 250);
    CHECK_INT(size, 10);
    CHECK_INT(reply(STR("354\r\n"), &size), 354);
    CHECK_INT(reply(STR("250-one\r\n250-two\r\n250 three\r\n"), &size), 250);
    CHECK_INT(size, 29);
    CHECK_INT(reply(STR("550 no\n"), &size), 550); /* a bare LF is taken: nothing follows from it */
}

TEST(smtp_reply_waits_for_its_last_line)
{
    size_t size;
    struct str text = STR("250-one\r\n250 two\r\n");

    for (size_t n = 0; n < text.n; n++)
        CHECK_INT(reply(str_head(text, n), &size), 0);
    CHECK_INT(reply(text, &size), 250);
}

TEST(smtp_refuses_what_is_no_reply)
{
    size_t size;
    char *text = arena_bytes(a, SMTP_REPLY_MAX + 1);

    CHECK_INT(reply(STR("\r\n"), &size), -EPROTO);
    CHECK_INT(reply(STR("25\r\n"), &size), -EPROTO);
    CHECK_INT(reply(STR("2x0 no\r\n"), &size), -EPROTO);
    CHECK_INT(reply(STR("250no\r\n"), &size), -EPROTO);
    CHECK_INT(reply(STR("199 no\r\n"), &size), -EPROTO);
    CHECK_INT(reply(STR("600 no\r\n"), &size), -EPROTO);
    CHECK_INT(reply(STR("HTTP/1.1 400 Bad Request\r\n"), &size), -EPROTO);
    memset(text, '2', SMTP_REPLY_MAX + 1);
    CHECK_INT(reply(str_of(text, SMTP_REPLY_MAX), &size), 0);
    CHECK_INT(reply(str_of(text, SMTP_REPLY_MAX + 1), &size), -EPROTO);
}

TEST(smtp_addresses_cannot_end_their_brackets)
{
    CHECK(smtp_address_is_valid(STR("ada@example.com")));
    CHECK(smtp_address_is_valid(STR("\xc3\xa9@example.com")));
    CHECK(!smtp_address_is_ascii(STR("\xc3\xa9@example.com")));
    CHECK(smtp_address_is_ascii(STR("ada@example.com")));
    CHECK(!smtp_address_is_valid(STR("")));
    CHECK(!smtp_address_is_valid(STR("a>b@example.com")));
    CHECK(!smtp_address_is_valid(STR("a<b@example.com")));
    CHECK(!smtp_address_is_valid(STR("a b@example.com")));
    CHECK(!smtp_address_is_valid(STR("a\r\nDATA@example.com")));
    CHECK(!smtp_address_is_valid(STR("\xff@example.com")));
}

TEST(smtp_data_is_stuffed_and_ends_with_a_dot)
{
    struct buf out;

    buf_init_arena(&out, a);
    smtp_write_data(&out, STR("one\r\n.\r\n..two\r\nthree.\r\n"));
    CHECK_STR(buf_str(&out), STR("one\r\n..\r\n...two\r\nthree.\r\n.\r\n"));
}
