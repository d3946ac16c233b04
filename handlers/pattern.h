/* The regular expressions of our own tables (base/regex.h), compiled once. */
#ifndef HANDLERS_PATTERN_H
#define HANDLERS_PATTERN_H

#include "base/str.h"

/*
 * Whether the pattern is found in text, which must be UTF-8. $ is the very end. pattern is a constant: it is
 * compiled once and known by its address from then on. A search that takes too many steps has found nothing.
 */
bool pattern_matches(const char *pattern, struct str text);

#endif
