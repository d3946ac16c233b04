#include "workers/mime.h"

#include "base/base64.h"

#include <time.h>

enum {
    QP_LINE_MAX = 75,      /* and the '=' of a soft break */
    WORD_BYTES_MAX = 45,   /* of text in an encoded word of 75 characters */
    SUBJECT_PLAIN_MAX = 60 /* what fits the line unencoded */
};

/* No line of quoted-printable text holds "=_", so none is mistaken for the boundary. */
#define BOUNDARY "=_sinas_alternative"

/* ---- quoted-printable ---- */

static bool qp_is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '=';
}

/* One line without its end. A blank before the end of a line would get lost on the way. */
static void qp_line(struct buf *out, struct str line)
{
    size_t column = 0;

    for (size_t i = 0; i < line.n; i++) {
        char c = line.p[i];
        bool is_plain = (qp_is_plain(c) && (c != ' ' || i + 1 < line.n)) || (c == '\t' && i + 1 < line.n);
        size_t width = is_plain ? 1 : 3;

        if (column + width > QP_LINE_MAX) {
            buf_add(out, STR("=\r\n"));
            column = 0;
        }
        if (is_plain)
            buf_add_byte(out, c);
        else
            buf_addf(out, "=%02X", (unsigned char)c);
        column += width;
    }
    buf_add(out, STR("\r\n"));
}

void mime_write_quoted_printable(struct buf *out, struct str text)
{
    struct str line;

    while (!str_is_none(text)) {
        line = str_cut(&text, '\n');
        if (str_is_none(text) && line.n == 0)
            return; /* the text ended with its last line */
        if (line.n != 0 && line.p[line.n - 1] == '\r')
            line.n--;
        qp_line(out, line);
    }
}

/* ---- headers ---- */

static bool header_is_clean(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
            return false;
    }
    return true;
}

static bool subject_is_plain(struct str s)
{
    if (s.n > SUBJECT_PLAIN_MAX || str_find(s, STR("=?")) >= 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] > '~')
            return false;
    }
    return true;
}

/* Encoded words of whole characters, one per line. */
void mime_write_subject(struct buf *out, struct str subject)
{
    if (subject_is_plain(subject)) {
        buf_add(out, subject);
        return;
    }
    while (subject.n != 0) {
        struct str word = str_utf8_head(subject, WORD_BYTES_MAX);
        size_t size = base64_encoded_size(BASE64_STANDARD, word.n);

        buf_add(out, STR("=?utf-8?B?"));
        buf_commit(out, base64_encode_to(buf_reserve(out, size), BASE64_STANDARD, word));
        buf_add(out, STR("?="));
        subject = str_from_offset(subject, word.n);
        if (subject.n != 0)
            buf_add(out, STR("\r\n "));
    }
}

static void write_date(struct buf *out, int64_t date_s)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t when = (time_t)date_s;
    struct tm t;

    gmtime_r(&when, &t);
    buf_addf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
             t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void write_part(struct buf *out, const char *type, struct str text)
{
    buf_addf(out, "Content-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
             type);
    mime_write_quoted_printable(out, text);
}

static void write_bodies(struct buf *out, const struct mime_mail *m)
{
    if (str_is_none(m->html)) {
        write_part(out, "text/plain", m->text);
        return;
    }
    buf_add(out, STR("Content-Type: multipart/alternative; boundary=\"" BOUNDARY "\"\r\n\r\n"));
    buf_add(out, STR("--" BOUNDARY "\r\n"));
    write_part(out, "text/plain", m->text);
    buf_add(out, STR("--" BOUNDARY "\r\n"));
    write_part(out, "text/html", m->html);
    buf_add(out, STR("--" BOUNDARY "--\r\n"));
}

int mime_write(struct buf *out, const struct mime_mail *m)
{
    const struct str headers[] = {m->from, m->to, m->id};

    for (size_t i = 0; i < nelem(headers); i++) {
        if (!header_is_clean(headers[i]) || headers[i].n > MIME_HEADER_MAX)
            return -EINVAL;
    }
    if (!header_is_clean(m->subject) || !str_is_utf8(m->subject))
        return -EINVAL;
    write_date(out, m->date_s);
    buf_addf(out, "From: " STR_FMT "\r\nTo: " STR_FMT "\r\nMessage-ID: <" STR_FMT ">\r\nSubject: ",
             STR_ARG(m->from), STR_ARG(m->to), STR_ARG(m->id));
    mime_write_subject(out, m->subject);
    buf_add(out, STR("\r\nMIME-Version: 1.0\r\n"));
    write_bodies(out, m);
    return 0;
}
