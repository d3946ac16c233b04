#include "test.h"
#include "workers/mime.h"

static struct str quoted(struct arena *a, struct str text)
{
    struct buf out;

    buf_init_arena(&out, a);
    mime_write_quoted_printable(&out, text);
    return buf_str(&out);
}

static struct str subject(struct arena *a, struct str text)
{
    struct buf out;

    buf_init_arena(&out, a);
    mime_write_subject(&out, text);
    return buf_str(&out);
}

TEST(mime_quoted_printable_encodes_what_it_must)
{
    CHECK_STR(quoted(a, STR("a=b\n")), STR("a=3Db\r\n"));
    CHECK_STR(quoted(a, STR("caf\xc3\xa9")), STR("caf=C3=A9\r\n"));
    CHECK_STR(quoted(a, STR("blank \ntab\t\nin side\n")), STR("blank=20\r\ntab=09\r\nin side\r\n"));
    CHECK_STR(quoted(a, STR("one\r\ntwo\n\nfour")), STR("one\r\ntwo\r\n\r\nfour\r\n"));
    CHECK_STR(quoted(a, STR("a\rb\x01")), STR("a=0Db=01\r\n"));
    CHECK_STR(quoted(a, STR("")), STR(""));
}

TEST(mime_quoted_printable_breaks_long_lines)
{
    char text[200];
    struct str rest;
    size_t total = 0;

    memset(text, 'x', sizeof(text));
    text[74] = '='; /* needs three columns: does not fit behind 74 */
    rest = quoted(a, str_of(text, sizeof(text)));
    while (rest.n != 0) {
        ssize_t end = str_find(rest, STR("\r\n"));

        CHECK(end >= 0 && end <= 76);
        total += (size_t)end;
        rest = str_from_offset(rest, (size_t)end + 2);
    }
    CHECK_INT(total, 200 + 2 + 2); /* =3D, and two soft breaks */
}

TEST(mime_subject_is_encoded_only_when_needed)
{
    CHECK_STR(subject(a, STR("Your Login Code")), STR("Your Login Code"));
    CHECK_STR(subject(a, STR("Caf\xc3\xa9")), STR("=?utf-8?B?Q2Fmw6k=?="));
    CHECK_STR(subject(a, STR("a =?b")), STR("=?utf-8?B?YSA9P2I=?="));
}

TEST(mime_subject_is_folded_between_characters)
{
    char text[100];
    struct str folded;
    ssize_t fold;

    memset(text, 'x', sizeof(text));
    memcpy(text + 44, "\xc3\xa9", 2); /* would be cut at 45 bytes */
    folded = subject(a, str_of(text, sizeof(text)));
    fold = str_find(folded, STR("?=\r\n =?utf-8?B?"));
    CHECK_INT(fold, 10 + 60); /* 44 bytes are 60 digits with padding */
    CHECK(str_ends(folded, STR("?=")));
}

static int written(struct arena *a, struct str to, struct str line, struct str *message)
{
    struct mime_mail m = {
        .from = STR("login@example.org"),
        .to = to,
        .subject = line,
        .text = STR("Hi\n"),
        .html = STR("<p>Hi</p>\n"),
        .id = STR("1@example.org"),
        .date_s = 1767225600,
    };
    struct buf out;
    int rc;

    buf_init_arena(&out, a);
    rc = mime_write(&out, &m);
    *message = buf_str(&out);
    return rc;
}

TEST(mime_message_has_both_alternatives)
{
    struct str message;

    CHECK_INT(written(a, STR("ada@example.com"), STR("Hello"), &message), 0);
    CHECK_STR(message, STR("Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
                           "From: login@example.org\r\n"
                           "To: ada@example.com\r\n"
                           "Message-ID: <1@example.org>\r\n"
                           "Subject: Hello\r\n"
                           "MIME-Version: 1.0\r\n"
                           "Content-Type: multipart/alternative; boundary=\"=_sinas_alternative\"\r\n"
                           "\r\n"
                           "--=_sinas_alternative\r\n"
                           "Content-Type: text/plain; charset=utf-8\r\n"
                           "Content-Transfer-Encoding: quoted-printable\r\n"
                           "\r\n"
                           "Hi\r\n"
                           "--=_sinas_alternative\r\n"
                           "Content-Type: text/html; charset=utf-8\r\n"
                           "Content-Transfer-Encoding: quoted-printable\r\n"
                           "\r\n"
                           "<p>Hi</p>\r\n"
                           "--=_sinas_alternative--\r\n"));
}

TEST(mime_refuses_line_ends_in_headers)
{
    struct str message;

    CHECK_INT(written(a, STR("ada@example.com\r\nBcc: eve@example.com"), STR("Hello"), &message), -EINVAL);
    CHECK_INT(written(a, STR("ada@example.com"), STR("Hello\nX: y"), &message), -EINVAL);
    CHECK_INT(written(a, STR("ada@example.com"), STR("Hello\rX: y"), &message), -EINVAL);
    CHECK_INT(message.n, 0);
}
