#include "base/log.h"

#include "base/clock.h"

#include <sys/uio.h>
#include <time.h>

enum { LOG_LINE_MAX = 1536 };

static struct {
    const char *title;
    enum log_level least;
} state = {"sinas", LOG_INFO};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(const char *title, enum log_level least)
{
    state.title = title;
    state.least = least;
}

bool log_is_on(enum log_level level)
{
    return level >= state.least;
}

/* A control character in a logged value could forge a line. */
static void log_sanitise(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    }
}

void log_write(enum log_level level, const char *thing, const char *format, ...)
{
    char line[LOG_LINE_MAX];
    int64_t now = clock_real_us();
    time_t seconds = (time_t)(now / 1000000);
    struct tm tm;
    size_t n;
    int more;
    va_list args;

    if (!log_is_on(level))
        return;
    (void)gmtime_r(&seconds, &tm);
    n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    more = snprintf(line + n, sizeof(line) - n, ".%03dZ %s %s[%d] %s: ", (int)(now % 1000000 / 1000),
                    level_names[level], state.title, (int)getpid(), thing);
    n += (size_t)more < sizeof(line) - n ? (size_t)more : sizeof(line) - n - 1;
    va_start(args, format);
    more = vsnprintf(line + n, sizeof(line) - n, format, args);
    va_end(args);
    if (more > 0)
        n += (size_t)more < sizeof(line) - n ? (size_t)more : sizeof(line) - n - 1;
    log_sanitise(line, n);
    line[n < sizeof(line) - 1 ? n : sizeof(line) - 1] = '\n';
    if (write(STDERR_FILENO, line, n + 1) < 0)
        return; /* nowhere left to say it */
}

void log_line(struct str line)
{
    char newline = '\n';
    struct iovec parts[2] = {{(void *)(uintptr_t)line.p, line.n}, {&newline, 1}};

    if (writev(STDERR_FILENO, parts, 2) < 0)
        return;
}
