// Context switches in assembly, for x86-64 and arm64 with the System V calling conventions.
#include "cpu/context_switch.h"

#include <cstdint>

#if defined(__x86_64__)

asm(R"(
  .text
  .p2align 4
  .globl metalwright_enter
  .hidden metalwright_enter
  .type metalwright_enter, @function
metalwright_enter:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
  movq %rsp, (%rdi)
  movq %rdx, %rdi
  callq *%rsi
  xorl %eax, %eax
.Lmetalwright_out:
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
  .size metalwright_enter, . - metalwright_enter

  .globl metalwright_leave
  .hidden metalwright_leave
  .type metalwright_leave, @function
metalwright_leave:
  movq %rdi, %rsp
  movl %esi, %eax
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  jmp .Lmetalwright_out
  .size metalwright_leave, . - metalwright_leave

  .p2align 4
  .globl metalwright_switch
  .hidden metalwright_switch
  .type metalwright_switch, @function
metalwright_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
  .size metalwright_switch, . - metalwright_switch

  .globl metalwright_fiber_start
  .hidden metalwright_fiber_start
  .type metalwright_fiber_start, @function
metalwright_fiber_start:
  movq %r12, %rdi
  callq *%r13
  ud2
  .size metalwright_fiber_start, . - metalwright_fiber_start

  .globl metalwright_call_on
  .hidden metalwright_call_on
  .type metalwright_call_on, @function
metalwright_call_on:
  pushq %rbp
  movq %rsp, %rbp
  movq %rdi, %rsp
  movq %rdx, %rdi
  callq *%rsi
  movq %rbp, %rsp
  popq %rbp
  retq
  .size metalwright_call_on, . - metalwright_call_on
)");

namespace metalwright::cpu {

void* prepare_fiber(void* top, void (*function)(void*), void* argument) {
  auto* slots = static_cast<std::uintptr_t*>(top);
  *--slots = 0; // as if called: the start is entered with the stack 8 past alignment
  *--slots = 0;
  *--slots = reinterpret_cast<std::uintptr_t>(&metalwright_fiber_start);
  *--slots = 0;                                          // rbp
  *--slots = 0;                                          // rbx
  *--slots = reinterpret_cast<std::uintptr_t>(argument); // r12
  *--slots = reinterpret_cast<std::uintptr_t>(function); // r13
  *--slots = 0;                                          // r14
  *--slots = 0;                                          // r15
  return slots;
}

} // namespace metalwright::cpu

#elif defined(__aarch64__)

asm(R"(
  .text
  .p2align 2
  .globl metalwright_enter
  .hidden metalwright_enter
  .type metalwright_enter, %function
metalwright_enter:
  sub sp, sp, #176
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mrs x9, fpcr
  str x9, [sp, #160]
  mov x9, sp
  str x9, [x0]
  mov x0, x2
  blr x1
  mov w0, #0
.Lmetalwright_out:
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #176
  ret
  .size metalwright_enter, . - metalwright_enter

  .globl metalwright_leave
  .hidden metalwright_leave
  .type metalwright_leave, %function
metalwright_leave:
  mov sp, x0
  mov w0, w1
  ldr x9, [sp, #160]
  msr fpcr, x9
  b .Lmetalwright_out
  .size metalwright_leave, . - metalwright_leave

  .p2align 2
  .globl metalwright_switch
  .hidden metalwright_switch
  .type metalwright_switch, %function
metalwright_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size metalwright_switch, . - metalwright_switch

  .globl metalwright_fiber_start
  .hidden metalwright_fiber_start
  .type metalwright_fiber_start, %function
metalwright_fiber_start:
  mov x0, x19
  blr x20
  brk #1
  .size metalwright_fiber_start, . - metalwright_fiber_start

  .globl metalwright_call_on
  .hidden metalwright_call_on
  .type metalwright_call_on, %function
metalwright_call_on:
  stp x29, x30, [sp, #-16]!
  mov x29, sp
  mov sp, x0
  mov x0, x2
  blr x1
  mov sp, x29
  ldp x29, x30, [sp], #16
  ret
  .size metalwright_call_on, . - metalwright_call_on
)");

namespace metalwright::cpu {

void* prepare_fiber(void* top, void (*function)(void*), void* argument) {
  auto* slots = static_cast<std::uintptr_t*>(top) - 20;
  for (int i = 0; i < 20; ++i)
    slots[i] = 0;
  slots[0] = reinterpret_cast<std::uintptr_t>(argument);                  // x19
  slots[1] = reinterpret_cast<std::uintptr_t>(function);                  // x20
  slots[11] = reinterpret_cast<std::uintptr_t>(&metalwright_fiber_start); // x30
  return slots;
}

} // namespace metalwright::cpu

#else
#error "metalwright's CPU device needs x86-64 or arm64"
#endif
