// Leaving a stack and coming back: the few instructions that no language gives us.
#pragma once

namespace metalwright::cpu {

extern "C" {

// Calls function(argument) after saving, at *saved, what metalwright_leave needs to return from
// here. Returns 0 if the function returned, else the value that metalwright_leave was given. No
// frame between may own anything: leaving runs no destructors. (siglongjmp would do the same, but a
// hardened C library aborts when it jumps between stacks.) Floating-point modes are restored.
int metalwright_enter(void** saved, void (*function)(void*), void* argument);
[[noreturn]] void metalwright_leave(void* saved, int value);

// Saves the callee's registers on the current stack, its pointer at *from, and goes on where `to`
// left off.
void metalwright_switch(void** from, void* to);

// Calls function(argument) on the stack that ends at `top` (16-byte aligned), then comes back.
void metalwright_call_on(void* top, void (*function)(void*), void* argument);

// Where a fresh fiber starts; never called by name.
void metalwright_fiber_start();
}

// The stack pointer to switch to so that function(argument) starts on the stack that ends at `top`
// (16-byte aligned). The function must never return.
void* prepare_fiber(void* top, void (*function)(void*), void* argument);

} // namespace metalwright::cpu
