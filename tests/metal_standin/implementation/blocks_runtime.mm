// The run time of blocks, after clang's "Block Implementation Specification".
//
// GNUstep has one that copies nothing, and Debian's libBlocksRuntime does not retain the objects
// that a block captures. Linked, hidden, into what contains our .mm files; their blocks may meet,
// since all of it goes by the flags in the blocks themselves.
#import <Foundation/Foundation.h>

#include <cstdlib>
#include <cstring>

#define HIDDEN extern "C" __attribute__((visibility("hidden")))

// The classes that blocks carry. Nothing sends messages to blocks here.
HIDDEN void* _NSConcreteStackBlock[32];
HIDDEN void* _NSConcreteMallocBlock[32];
HIDDEN void* _NSConcreteGlobalBlock[32];
void* _NSConcreteStackBlock[32] = {};
void* _NSConcreteMallocBlock[32] = {};
void* _NSConcreteGlobalBlock[32] = {};

namespace {

// Flags of blocks and of __block variables; the lower 16 bits count references.
constexpr int kReferences = 0xffff;
constexpr int kIsOnHeap = 1 << 24;
constexpr int kHasHelpers = 1 << 25;
constexpr int kIsGlobal = 1 << 28;

// Kinds of captured variables.
constexpr int kObject = 3;
constexpr int kBlock = 7;
constexpr int kVariable = 8; // of __block
constexpr int kWeak = 16;
constexpr int kWithinVariable = 128;

struct Descriptor {
  unsigned long reserved;
  unsigned long size;
  void (*copy)(void* destination, const void* source); // with kHasHelpers only
  void (*dispose)(const void* block);
};

struct Block {
  void* isa;
  int flags;
  int reserved;
  void (*invoke)(void*, ...);
  Descriptor* descriptor;
};

struct Variable {
  void* isa;
  Variable* forwarding;
  int flags;
  int size;
  void (*keep)(Variable* destination, Variable* source); // with kHasHelpers only
  void (*destroy)(Variable*);
};

template <typename Counted> void add_reference(Counted* counted) {
  __atomic_fetch_add(&counted->flags, 1, __ATOMIC_RELAXED);
}
template <typename Counted> bool drop_reference(Counted* counted) {
  return (__atomic_sub_fetch(&counted->flags, 1, __ATOMIC_ACQ_REL) & kReferences) == 0;
}

Variable* copy_variable(Variable* source) {
  if (source->forwarding->flags & kIsOnHeap) {
    add_reference(source->forwarding);
    return source->forwarding;
  }
  auto* copy = static_cast<Variable*>(std::malloc(static_cast<std::size_t>(source->size)));
  std::memcpy(static_cast<void*>(copy), source, static_cast<std::size_t>(source->size));
  copy->isa = nullptr;
  copy->flags = (source->flags & ~kReferences) | kIsOnHeap | 2; // the block, and the stack's scope
  copy->forwarding = copy;
  source->forwarding = copy;
  if (source->flags & kHasHelpers)
    source->keep(copy, source);
  return copy;
}

void release_variable(Variable* variable) {
  variable = variable->forwarding;
  if (!(variable->flags & kIsOnHeap) || !drop_reference(variable))
    return;
  if (variable->flags & kHasHelpers)
    variable->destroy(variable);
  std::free(variable);
}

} // namespace

HIDDEN void* _Block_copy(const void* argument) {
  auto* block = static_cast<Block*>(const_cast<void*>(argument));
  if (!block || (block->flags & kIsGlobal))
    return block;
  if (block->flags & kIsOnHeap) {
    add_reference(block);
    return block;
  }
  auto* copy = static_cast<Block*>(std::malloc(block->descriptor->size));
  std::memcpy(static_cast<void*>(copy), block, block->descriptor->size);
  copy->isa = _NSConcreteMallocBlock;
  copy->flags = (block->flags & ~kReferences) | kIsOnHeap | 1;
  if (block->flags & kHasHelpers)
    block->descriptor->copy(copy, block);
  return copy;
}

HIDDEN void _Block_release(const void* argument) {
  auto* block = static_cast<Block*>(const_cast<void*>(argument));
  if (!block || (block->flags & kIsGlobal) || !(block->flags & kIsOnHeap) || !drop_reference(block))
    return;
  if (block->flags & kHasHelpers)
    block->descriptor->dispose(block);
  std::free(block);
}

HIDDEN void _Block_object_assign(void* destination, const void* object, const int flags) {
  const void*& place = *static_cast<const void**>(destination);
  switch (flags & ~kWeak) {
  case kObject:
    place = [(id)object retain];
    break;
  case kBlock:
    place = _Block_copy(object);
    break;
  case kVariable:
    place = copy_variable(static_cast<Variable*>(const_cast<void*>(object)));
    break;
  default: // kWithinVariable: a __block variable does not retain what it holds
    static_assert(kWithinVariable == 128);
    place = object;
  }
}

HIDDEN void _Block_object_dispose(const void* object, const int flags) {
  switch (flags & ~kWeak) {
  case kObject:
    [(id)object release];
    break;
  case kBlock:
    _Block_release(object);
    break;
  case kVariable:
    release_variable(static_cast<Variable*>(const_cast<void*>(object)));
    break;
  default:
    break;
  }
}
