/*
 * The llm worker: many calls to language models in one process. Takes llm_start
 * from reactors, asks the provider, sends back the events of the stream (proto.def).
 */
#ifndef WORKERS_LLM_H
#define WORKERS_LLM_H

/* Entry of the process (reactor/proc.h): one Unix socket to listen on. */
int llm_main(int argc, char **argv);

#endif
