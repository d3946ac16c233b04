#include "http.h"

#include "base/hex.h"

/*
 * The head of a request in two steps. The scan walks over bytes as they arrive
 * and finds the end; it refuses what is wrong whatever follows: control
 * characters, bare CR and LF, lines that are too long, a request line that is none. The
 * parser then works on the complete text and can rely on all that.
 */

static const char *const method_names[HTTP_METHODS] = {
    [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",       [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS", [HTTP_OTHER] = "other",
};

const char *http_method_name(enum http_method m)
{
    return method_names[m];
}

static const struct reason {
    int status;
    const char *text;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < nelem(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}

/* ---- classes of octets ---- */

enum { OCTET_TOKEN = 1, OCTET_HOST = 2, OCTET_DIGIT = 4 };

#define TOKEN_AND_HOST (OCTET_TOKEN | OCTET_HOST)
static const unsigned char octets[256] = {
    ['0' ... '9'] = TOKEN_AND_HOST | OCTET_DIGIT,
    ['a' ... 'z'] = TOKEN_AND_HOST,
    ['A' ... 'Z'] = TOKEN_AND_HOST,
    ['!'] = TOKEN_AND_HOST,
    ['#'] = OCTET_TOKEN,
    ['$'] = TOKEN_AND_HOST,
    ['%'] = TOKEN_AND_HOST, /* of a host: its escape is checked apart */
    ['&'] = TOKEN_AND_HOST,
    ['\''] = TOKEN_AND_HOST,
    ['('] = OCTET_HOST,
    [')'] = OCTET_HOST,
    ['*'] = TOKEN_AND_HOST,
    ['+'] = TOKEN_AND_HOST,
    [','] = OCTET_HOST,
    ['-'] = TOKEN_AND_HOST,
    ['.'] = TOKEN_AND_HOST,
    [';'] = OCTET_HOST,
    ['='] = OCTET_HOST,
    ['^'] = OCTET_TOKEN,
    ['_'] = TOKEN_AND_HOST,
    ['`'] = OCTET_TOKEN,
    ['|'] = OCTET_TOKEN,
    ['~'] = TOKEN_AND_HOST,
};

bool http_is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!(octets[(unsigned char)s.p[i]] & OCTET_TOKEN))
            return false;
    }
    return s.n != 0;
}

static bool octet_is_digit(char c)
{
    return octets[(unsigned char)c] & OCTET_DIGIT;
}

/* Without blanks and tabs around: RFC 9110's OWS. */
static struct str ows_trim(struct str s)
{
    while (s.n != 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_from_offset(s, 1);
    while (s.n != 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* ---- the request line ---- */

struct request_line {
    struct str method, target;
    int minor_version;
};

static int version_parse(struct str s, int *minor_version)
{
    if (s.n != 8 || !str_starts(s, STR("HTTP/")) || !octet_is_digit(s.p[5]) || s.p[6] != '.' ||
        !octet_is_digit(s.p[7]))
        return -400;
    if (s.p[5] != '1')
        return -505;
    *minor_version = s.p[7] == '0' ? 0 : 1;
    return 0;
}

static int request_line_parse(struct str line, struct request_line *out)
{
    struct str rest = line;

    out->method = str_cut(&rest, ' ');
    if (str_is_none(rest) || !http_is_token(out->method))
        return -400;
    out->target = str_cut(&rest, ' ');
    if (str_is_none(rest) || out->target.n == 0)
        return -400;
    return version_parse(rest, &out->minor_version);
}

/* ---- the scan ---- */

/* One empty line in front of a request is skipped. 1 when it is known whether there is one, 0, -400. */
static int scan_empty_line(struct http_scan *scan, struct str text)
{
    if (text.n == 0)
        return 0;
    if (scan->at >= 2 || text.p[0] != '\r')
        return 1;
    if (text.n == 1)
        return 0;
    if (text.p[1] != '\n')
        return -400;
    scan->at = scan->line = 2;
    return 1;
}

static int scan_request_line(struct http_scan *scan, struct str text)
{
    for (; scan->at < text.n; scan->at++) {
        unsigned char c = (unsigned char)text.p[scan->at];
        bool is_behind_cr = scan->at > scan->line && text.p[scan->at - 1] == '\r';
        struct request_line line;
        int rc;

        if (is_behind_cr != (c == '\n'))
            return -400;
        if (c == '\n') {
            rc = request_line_parse(str_of(text.p + scan->line, scan->at - 1 - scan->line), &line);
            scan->at++;
            scan->fields = scan->at;
            return rc < 0 ? rc : 1;
        }
        if (c == '\r')
            continue;
        if (c < 0x20 || c >= 0x7f)
            return -400;
        if (scan->at - scan->line >= HTTP_REQUEST_LINE_MAX)
            return -414;
    }
    return 0;
}

static int scan_fields(struct http_scan *scan, struct str text)
{
    for (; scan->at < text.n; scan->at++) {
        unsigned char c = (unsigned char)text.p[scan->at];
        char before = text.p[scan->at - 1];
        bool starts_line = before == '\n';

        if (c >= 0x20 && c != 0x7f && before != '\r') {
            if (starts_line && c == ' ')
                return -400; /* a folded line */
        } else if (c == '\n') {
            if (before != '\r')
                return -400;
            if (text.p[scan->at - 2] == '\n') {
                scan->at++;
                return 1;
            }
        } else if (before == '\r' || !(c == '\r' || (c == '\t' && !starts_line))) {
            return -400;
        }
        /* The CR of the final empty line may stand one behind a full section. */
        if (scan->at - scan->fields >= HTTP_HEADERS_MAX && !(starts_line && c == '\r'))
            return -431;
    }
    return 0;
}

int http_scan_head(struct http_scan *scan, struct str text)
{
    int rc;

    if (scan->fields == 0) {
        rc = scan_empty_line(scan, text);
        if (rc <= 0)
            return rc;
        rc = scan_request_line(scan, text);
        if (rc <= 0)
            return rc;
    }
    return scan_fields(scan, text);
}

/* ---- host and target ---- */

static bool host_name_is_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (!(octets[(unsigned char)name.p[i]] & OCTET_HOST))
            return false;
        if (name.p[i] == '%' &&
            (name.n - i < 3 || hex_digit(name.p[i + 1]) < 0 || hex_digit(name.p[i + 2]) < 0))
            return false;
    }
    return name.n != 0;
}

/* What stands between the brackets of an IPv6 literal; the exact form is not our business. */
static bool host_literal_is_valid(struct str literal)
{
    if (str_find_byte(literal, ':') < 0)
        return false;
    for (size_t i = 0; i < literal.n; i++) {
        if (hex_digit(literal.p[i]) < 0 && literal.p[i] != ':' && literal.p[i] != '.')
            return false;
    }
    return true;
}

static bool port_is_valid(struct str port)
{
    unsigned value = 0;

    if (port.n > 5)
        return false;
    for (size_t i = 0; i < port.n; i++) {
        if (!octet_is_digit(port.p[i]))
            return false;
        value = value * 10 + (unsigned)(port.p[i] - '0');
    }
    return value <= 65535;
}

/* host [":" port], without user info. */
static bool authority_is_valid(struct str s)
{
    ssize_t end;

    if (s.n != 0 && s.p[0] == '[') {
        end = str_find_byte(s, ']');
        if (end < 0 || !host_literal_is_valid(str_of(s.p + 1, (size_t)end - 1)))
            return false;
        s = str_from_offset(s, (size_t)end + 1);
        return s.n == 0 || (s.p[0] == ':' && port_is_valid(str_from_offset(s, 1)));
    }
    end = str_find_byte(s, ':');
    if (end < 0)
        return host_name_is_valid(s);
    return host_name_is_valid(str_head(s, (size_t)end)) && port_is_valid(str_from_offset(s, (size_t)end + 1));
}

/* The part of a target that origin servers name: /path?query. */
static int target_split(struct http_head *head, struct str origin)
{
    if (str_find_byte(origin, '#') >= 0)
        return -400;
    head->query = origin;
    head->path = str_cut(&head->query, '?');
    return 0;
}

static int target_parse_absolute(struct http_head *head)
{
    struct str rest = str_from_offset(head->target, strlen("http://"));
    size_t n = 0;

    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
        n++;
    head->host = str_head(rest, n);
    if (!authority_is_valid(head->host) || target_split(head, str_from_offset(rest, n)) < 0)
        return -400;
    if (head->path.n == 0)
        head->path = STR("/");
    return 0;
}

static int target_parse(struct http_head *head)
{
    struct str target = head->target;

    if (target.p[0] == '/')
        return target_split(head, target);
    if (target.n >= 7 && str_ieq(str_head(target, 7), STR("http://")))
        return target_parse_absolute(head);
    if (str_eq(target, STR("*")) && head->method == HTTP_OPTIONS) {
        head->path = target;
        return 0;
    }
    /* CONNECT has a form of its own; it is refused later, as a method nobody has. */
    if (str_eq(head->method_text, STR("CONNECT")) && authority_is_valid(target)) {
        head->path = target;
        return 0;
    }
    return -400;
}

static enum http_method method_parse(struct str name)
{
    for (int m = 0; m < HTTP_OTHER; m++) {
        if (str_eq(name, str_from(method_names[m])))
            return (enum http_method)m;
    }
    return HTTP_OTHER;
}

/* ---- fields ---- */

/* Takes the line before the next CRLF off the front of *text. */
static struct str line_take(struct str *text)
{
    const char *cr = memchr(text->p, '\r', text->n);
    struct str line = str_of(text->p, (size_t)(cr - text->p));

    *text = str_from_offset(*text, line.n + 2);
    return line;
}

static int field_parse(struct str line, struct http_field *f)
{
    struct str rest = line;

    f->name = str_cut(&rest, ':');
    if (str_is_none(rest) || !http_is_token(f->name))
        return -400;
    f->value = ows_trim(rest);
    return 0;
}

static unsigned lines_count(struct str text)
{
    const char *end = text.p + text.n;
    unsigned count = 0;

    for (const char *p = text.p; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        count++;
    return count;
}

/* section is the header section and the empty line behind it. */
static int fields_parse(struct arena *a, struct str section, struct http_head *head)
{
    unsigned count = lines_count(section) - 1;
    struct http_field *fields;

    if (count > HTTP_FIELDS_MAX)
        return -431;
    fields = arena_alloc(a, (count + 1) * sizeof(*fields));
    head->fields = fields;
    while (head->fields_count < count) {
        int rc = field_parse(line_take(&section), &fields[head->fields_count]);

        if (rc < 0)
            return rc;
        head->fields_count++;
    }
    return 0;
}

struct str http_field(const struct http_head *head, struct str name)
{
    for (size_t i = 0; i < head->fields_count; i++) {
        if (str_ieq(head->fields[i].name, name))
            return head->fields[i].value;
    }
    return STR_NONE;
}

/* ---- what the fields mean for the connection ---- */

/* What a pass over the fields gathers before anything is decided. */
struct meaning {
    unsigned hosts, lengths, encodings, types;
    struct str host, length;
    unsigned codings_chunked, codings_unknown;
    bool has_bad_coding, has_bad_expectation, has_content_coding;
    bool asks_close, asks_keep_alive;
};

static void connection_read(struct meaning *m, struct str value)
{
    while (!str_is_none(value)) {
        struct str option = ows_trim(str_cut(&value, ','));

        m->asks_close |= str_ieq(option, STR("close"));
        m->asks_keep_alive |= str_ieq(option, STR("keep-alive"));
    }
}

static void transfer_encoding_read(struct meaning *m, struct str value)
{
    m->encodings++;
    while (!str_is_none(value)) {
        struct str coding = ows_trim(str_cut(&value, ','));

        if (str_ieq(coding, STR("chunked")))
            m->codings_chunked++;
        else if (http_is_token(coding))
            m->codings_unknown++;
        else
            m->has_bad_coding = true;
    }
}

static void expect_read(struct http_head *head, struct meaning *m, struct str value)
{
    while (!str_is_none(value)) {
        if (str_ieq(ows_trim(str_cut(&value, ',')), STR("100-continue")))
            head->expects_continue = true;
        else
            m->has_bad_expectation = true;
    }
}

static void field_read(struct http_head *head, struct meaning *m, const struct http_field *f)
{
    if (str_ieq(f->name, STR("host"))) {
        m->hosts++;
        m->host = f->value;
    } else if (str_ieq(f->name, STR("content-length"))) {
        m->lengths++;
        m->length = f->value;
    } else if (str_ieq(f->name, STR("transfer-encoding"))) {
        transfer_encoding_read(m, f->value);
    } else if (str_ieq(f->name, STR("connection"))) {
        connection_read(m, f->value);
    } else if (str_ieq(f->name, STR("expect"))) {
        expect_read(head, m, f->value);
    } else if (str_ieq(f->name, STR("content-encoding"))) {
        m->has_content_coding |= !str_ieq(f->value, STR("identity"));
    } else if (str_ieq(f->name, STR("content-type"))) {
        m->types++;
    }
}

/* Digits only. A number that no one can send in full becomes the largest: every limit refuses it. */
static int content_length_parse(struct str s, int64_t *length)
{
    uint64_t value = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (!octet_is_digit(s.p[i]))
            return -400;
        value = value * 10 + (uint64_t)(s.p[i] - '0');
        if (value > INT64_MAX / 16)
            value = INT64_MAX / 16; /* stays there: times ten is more */
    }
    *length = value < INT64_MAX / 16 ? (int64_t)value : INT64_MAX;
    return s.n != 0 ? 0 : -400;
}

/* RFC 9112 §6.3, without its ways out: whatever is ambiguous is refused. */
static int framing_decide(struct http_head *head, const struct meaning *m)
{
    if (m->encodings == 0 && m->lengths == 0)
        return 0;
    if (m->encodings == 0) {
        if (m->lengths != 1 || content_length_parse(m->length, &head->content_length) < 0)
            return -400;
        head->has_body = head->content_length > 0;
        return 0;
    }
    if (m->lengths != 0 || head->minor_version == 0 || m->has_bad_coding)
        return -400;
    if (m->codings_unknown != 0)
        return -501;
    if (m->codings_chunked != 1)
        return -400;
    head->is_chunked = true;
    head->has_body = true;
    return 0;
}

static int host_decide(struct http_head *head, const struct meaning *m)
{
    if (m->hosts > 1 || (m->hosts == 0 && head->minor_version >= 1))
        return -400;
    if (m->hosts == 1 && !authority_is_valid(m->host))
        return -400;
    if (str_is_none(head->host))
        head->host = m->host;
    return 0;
}

static int fields_decide(struct http_head *head)
{
    struct meaning m = {0};
    int rc;

    for (size_t i = 0; i < head->fields_count; i++)
        field_read(head, &m, &head->fields[i]);
    head->keep_alive = !m.asks_close && (head->minor_version >= 1 || m.asks_keep_alive);
    rc = host_decide(head, &m);
    if (rc < 0)
        return rc;
    rc = framing_decide(head, &m);
    if (rc < 0)
        return rc;
    if (m.types > 1)
        return -400;
    if (m.has_bad_expectation)
        return -417;
    if (m.has_content_coding && head->has_body)
        return -415;
    head->expects_continue &= head->has_body && head->minor_version >= 1;
    return 0;
}

int http_parse_head(struct arena *a, struct str text, struct http_head *head)
{
    struct request_line line;
    int rc;

    *head = (struct http_head){.bytes = text.n, .content_length = -1};
    if (text.p[0] == '\r')
        text = str_from_offset(text, 2);
    rc = request_line_parse(line_take(&text), &line);
    if (rc < 0)
        return rc;
    head->method_text = line.method;
    head->method = method_parse(line.method);
    head->target = line.target;
    head->minor_version = line.minor_version;
    rc = fields_parse(a, text, head);
    if (rc < 0)
        return rc;
    rc = target_parse(head);
    if (rc < 0)
        return rc;
    return fields_decide(head);
}
