/* The one machine-dependent piece of tasks: their contexts. x86-64 has its own switch, the rest uses
 * ucontext. */
#ifndef CORE_TASK_SWITCH_H
#define CORE_TASK_SWITCH_H

#include "base/base.h"

#if defined(__x86_64__) && !defined(TASK_UCONTEXT)
struct task_context {
    void *sp;
};
#else
#include <ucontext.h>
struct task_context {
    ucontext_t uc;
};
#endif

/* Prepares a context that enters entry() on the stack; entry must never return. */
void task_context_make(struct task_context *c, void *stack, size_t size, void (*entry)(void));

/* Saves the running context in from and goes on in to. */
void task_context_switch(struct task_context *from, struct task_context *to);

#endif
