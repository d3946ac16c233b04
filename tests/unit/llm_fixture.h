/* Recorded streams and requests of providers' dialects, for the tests of all of them. */
#ifndef TESTS_UNIT_LLM_FIXTURE_H
#define TESTS_UNIT_LLM_FIXTURE_H

#include "workers/llm_stream.h"

/*
 * Reads the wire whole, cut at every byte, and byte by byte; each time it must mean what is wanted:
 * text(…), tool(…), then end(reason calls prompt+completion=total) or failed(words).
 */
void llm_wire_check(struct arena *a, const char *type, struct str wire, struct str wanted);

/* What is sent to http://x with the key k; config may be NULL. */
void llm_request_make(struct arena *a, const char *type, const char *body, const char *config,
                      unsigned quirks, struct llm_http *http);

#endif
