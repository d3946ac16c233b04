#include "workers/smtp.h"

static int line_code(struct str line)
{
    int code = 0;

    if (line.n < 3 || (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
        return -EPROTO;
    for (size_t i = 0; i < 3; i++) {
        if (line.p[i] < '0' || line.p[i] > '9')
            return -EPROTO;
        code = code * 10 + (line.p[i] - '0');
    }
    return code >= 200 && code <= 599 ? code : -EPROTO;
}

int smtp_reply(struct str text, size_t *size)
{
    struct str rest = text;

    for (;;) {
        ssize_t end = str_find_byte(rest, '\n');
        struct str line;
        int code;

        if (end < 0)
            return text.n > SMTP_REPLY_MAX ? -EPROTO : 0;
        line = str_head(rest, (size_t)end);
        rest = str_from_offset(rest, (size_t)end + 1);
        if (line.n != 0 && line.p[line.n - 1] == '\r')
            line.n--;
        code = line_code(line);
        *size = text.n - rest.n;
        if (code < 0 || *size > SMTP_REPLY_MAX)
            return -EPROTO;
        if (line.n == 3 || line.p[3] == ' ')
            return code;
    }
}

bool smtp_address_is_valid(struct str address)
{
    for (size_t i = 0; i < address.n; i++) {
        unsigned char c = (unsigned char)address.p[i];

        if (c <= ' ' || c == 0x7f || c == '<' || c == '>')
            return false;
    }
    return address.n != 0 && str_is_utf8(address);
}

bool smtp_address_is_ascii(struct str address)
{
    for (size_t i = 0; i < address.n; i++) {
        if ((unsigned char)address.p[i] > 0x7e)
            return false;
    }
    return true;
}

void smtp_write_data(struct buf *out, struct str message)
{
    while (message.n != 0) {
        ssize_t end = str_find_byte(message, '\n');
        size_t n = end < 0 ? message.n : (size_t)end + 1;

        if (message.p[0] == '.')
            buf_add_byte(out, '.');
        buf_add(out, str_head(message, n));
        message = str_from_offset(message, n);
    }
    buf_add(out, STR(".\r\n"));
}
