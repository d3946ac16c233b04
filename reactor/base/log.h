/*
 * The log: one line per event to standard error, in one write(2) so that lines
 * of several processes never mix. Never log secrets, tokens or message bodies.
 *
 *   2026-01-02T03:04:05.120Z info reactor[412] pg: connected to 10.0.0.7
 *
 * The word before the colon names the thing the line is about.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* The process's name in each line, and the least level that is written. title must stay valid. */
void log_init(const char *title, enum log_level least);

void log_write(enum log_level level, const char *thing, const char *format, ...) PRINTF_LIKE(3, 4);

/* A whole line that is already formatted (the access log's JSON); the newline is added. */
void log_line(struct str line);

bool log_is_on(enum log_level level);

#define log_debug(thing, ...)                                                                                \
    do {                                                                                                     \
        if (log_is_on(LOG_DEBUG))                                                                            \
            log_write(LOG_DEBUG, (thing), __VA_ARGS__);                                                      \
    } while (0)
#define log_info(thing, ...)  log_write(LOG_INFO, (thing), __VA_ARGS__)
#define log_warn(thing, ...)  log_write(LOG_WARN, (thing), __VA_ARGS__)
#define log_error(thing, ...) log_write(LOG_ERROR, (thing), __VA_ARGS__)

#endif
