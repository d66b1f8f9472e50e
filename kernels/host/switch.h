// Switching between fibers: the registers that a called function keeps, and the stack pointer. About 5 ns, where swapcontext() makes
// two system calls.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__APPLE__)
#define STANDIN_SYMBOL(name) "_" name
#define STANDIN_HIDDEN ".private_extern _standin_switch\n"
#else
#define STANDIN_SYMBOL(name) name
#define STANDIN_HIDDEN ".hidden standin_switch\n"
#endif

// The slow way for other processors, or where a flag asks for it to test it.
#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(STANDIN_UCONTEXT)
#define STANDIN_UCONTEXT
#endif

// Keeps the running fiber's stack pointer in *save and goes on where `load` was kept.
#if !defined(STANDIN_UCONTEXT)
extern "C" __attribute__((visibility("hidden"))) void standin_switch(void** save, void* load);
#endif

namespace standin {

#if defined(STANDIN_UCONTEXT)
#elif defined(__x86_64__)

asm(".text\n.p2align 4\n.globl " STANDIN_SYMBOL("standin_switch") "\n" STANDIN_HIDDEN STANDIN_SYMBOL("standin_switch") ":\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n  ret\n");

// A stack pointer that begins at `entry`, which must not return. `top` is aligned to 16 bytes.
inline void* newStack(char* top, void (*entry)()) {
  void** at = reinterpret_cast<void**>(top);
  *--at = nullptr;  // where entry would return to
  *--at = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; i++) *--at = nullptr;
  return at;
}

#elif defined(__aarch64__)

asm(".text\n.p2align 4\n.globl " STANDIN_SYMBOL("standin_switch") "\n" STANDIN_HIDDEN STANDIN_SYMBOL("standin_switch") ":\n"
    "  sub sp, sp, #160\n"
    "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n  stp x25, x26, [sp, #48]\n"
    "  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
    "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
    "  mov x9, sp\n  str x9, [x0]\n  mov sp, x1\n"
    "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n"
    "  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
    "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
    "  add sp, sp, #160\n  ret\n");

inline void* newStack(char* top, void (*entry)()) {
  void** at = reinterpret_cast<void**>(top) - 20;
  for (int i = 0; i < 20; i++) at[i] = nullptr;
  at[11] = reinterpret_cast<void*>(entry);  // x30: where the switch returns to
  return at;
}

#endif

}  // namespace standin

#if defined(STANDIN_UCONTEXT)
#include <ucontext.h>

// A context lies at the far end of its stack.
namespace standin {
inline thread_local ucontext_t mainContext;
inline void* newStack(char* top, void (*entry)()) {
  constexpr size_t kBytes = 48 << 10;
  ucontext_t* context = reinterpret_cast<ucontext_t*>(top - kBytes);
  getcontext(context);
  context->uc_stack.ss_sp = top - kBytes + sizeof(ucontext_t) + 64;
  context->uc_stack.ss_size = kBytes - sizeof(ucontext_t) - 64;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}
}  // namespace standin

// *save holds the context's address already, or null: the worker's own.
inline void standin_switch(void** save, void* load) {
  if (*save == nullptr) *save = &standin::mainContext;
  swapcontext(static_cast<ucontext_t*>(*save), static_cast<ucontext_t*>(load));
}
#endif
