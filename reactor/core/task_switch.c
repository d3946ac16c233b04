#include "core/task_switch.h"

#if defined(__x86_64__) && !defined(TASK_UCONTEXT)

/*
 * System V ABI: the callee-saved registers, the x87 control word and MXCSR are
 * pushed, the stack pointer is swapped, the same are popped. Shadow stacks are
 * not supported (and not enabled by Debian's kernel for programs).
 */
__asm__(".text\n"
        ".globl task_switch_x86_64\n"
        ".hidden task_switch_x86_64\n"
        ".type task_switch_x86_64,@function\n"
        ".align 16\n"
        "task_switch_x86_64:\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq (%rsi), %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size task_switch_x86_64,.-task_switch_x86_64\n");

void task_switch_x86_64(struct task_context *from, struct task_context *to);

enum { SAVED_WORDS = 8 }; /* control words, r15, r14, r13, r12, rbx, rbp, return address */

void task_context_make(struct task_context *c, void *stack, size_t size, void (*entry)(void))
{
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
    uint64_t *sp = (uint64_t *)top - 1; /* entry sees the alignment that a call leaves; 0 ends backtraces */
    uint32_t mxcsr;
    uint16_t x87;

    *sp = 0;
    sp -= SAVED_WORDS;
    memset(sp, 0, SAVED_WORDS * sizeof(*sp));
    __asm__("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
    sp[0] = (uint64_t)mxcsr | (uint64_t)x87 << 32;
    sp[SAVED_WORDS - 1] = (uint64_t)(uintptr_t)entry;
    c->sp = sp;
}

void task_context_switch(struct task_context *from, struct task_context *to)
{
    task_switch_x86_64(from, to);
}

#else

void task_context_make(struct task_context *c, void *stack, size_t size, void (*entry)(void))
{
    if (getcontext(&c->uc) < 0)
        abort();
    c->uc.uc_stack.ss_sp = stack;
    c->uc.uc_stack.ss_size = size;
    c->uc.uc_link = NULL;
    makecontext(&c->uc, entry, 0);
}

void task_context_switch(struct task_context *from, struct task_context *to)
{
    if (swapcontext(&from->uc, &to->uc) < 0)
        abort();
}

#endif
