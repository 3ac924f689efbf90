// Reads `!air.kernel`, trusting nothing in it.
#include "air/entry_points.h"

#include "errors.h"

#include <llvm/ADT/StringSwitch.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/Metadata.h>

#include <algorithm>
#include <set>
#include <utility>

namespace metalwright::air {

namespace {

constexpr std::pair<const char*, BuiltInKind> kBuiltIns[] = {
    {"thread_position_in_grid", BuiltInKind::thread_position_in_grid},
    {"threads_per_grid", BuiltInKind::threads_per_grid},
    {"threadgroup_position_in_grid", BuiltInKind::threadgroup_position_in_grid},
    {"threadgroups_per_grid", BuiltInKind::threadgroups_per_grid},
    {"thread_position_in_threadgroup", BuiltInKind::thread_position_in_threadgroup},
    {"threads_per_threadgroup", BuiltInKind::threads_per_threadgroup},
    {"dispatch_threads_per_threadgroup", BuiltInKind::dispatch_threads_per_threadgroup},
    {"thread_index_in_threadgroup", BuiltInKind::thread_index_in_threadgroup},
    {"thread_index_in_simdgroup", BuiltInKind::thread_index_in_simdgroup},
    {"simdgroup_index_in_threadgroup", BuiltInKind::simdgroup_index_in_threadgroup},
    {"simdgroups_per_threadgroup", BuiltInKind::simdgroups_per_threadgroup},
    {"dispatch_simdgroups_per_threadgroup", BuiltInKind::dispatch_simdgroups_per_threadgroup},
    {"threads_per_simdgroup", BuiltInKind::threads_per_simdgroup},
    {"thread_execution_width", BuiltInKind::threads_per_simdgroup},
    {"thread_index_in_quadgroup", BuiltInKind::thread_index_in_quadgroup},
    {"quadgroup_index_in_threadgroup", BuiltInKind::quadgroup_index_in_threadgroup},
    {"quadgroups_per_threadgroup", BuiltInKind::quadgroups_per_threadgroup},
    {"dispatch_quadgroups_per_threadgroup", BuiltInKind::dispatch_quadgroups_per_threadgroup},
    {"grid_origin", BuiltInKind::grid_origin},
};

// Reads one argument's node from left to right; every failure names the kernel and the argument.
class NodeReader {
 public:
  NodeReader(const llvm::MDNode& node, std::string place) : node_(node), place_(std::move(place)) {}

  bool at_end() const { return next_ >= node_.getNumOperands(); }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(errors::invalid_air, place_ + ": " + what);
  }

  const llvm::Metadata* metadata(const char* what) {
    if (at_end())
      fail(std::string("metadata ends where ") + what + " should be");
    return node_.getOperand(next_++).get();
  }

  llvm::StringRef string(const char* what) {
    const auto* text = llvm::dyn_cast_or_null<llvm::MDString>(metadata(what));
    if (!text)
      fail(std::string(what) + " is not a string");
    return text->getString();
  }

  std::uint64_t number(const char* what) {
    const auto* number = llvm::mdconst::dyn_extract_or_null<llvm::ConstantInt>(metadata(what));
    if (!number || number->getValue().getActiveBits() > 64)
      fail(std::string(what) + " is not an integer");
    return number->getZExtValue();
  }

  void move_place(const std::string& more) { place_ += more; }
  const std::string& place() const { return place_; }

  // The next key if it is this one; it is not read past otherwise.
  bool has_key(llvm::StringRef key) {
    const auto* next =
        at_end() ? nullptr : llvm::dyn_cast_or_null<llvm::MDString>(node_.getOperand(next_).get());
    if (!next || next->getString() != key)
      return false;
    ++next_;
    return true;
  }

  const llvm::MDNode& node(const char* what) {
    const auto* node = llvm::dyn_cast_or_null<llvm::MDNode>(metadata(what));
    if (!node)
      fail(std::string(what) + " is not a node");
    return *node;
  }

  // Whether a number comes next, not a node.
  bool at_number() const {
    return !at_end() && llvm::isa_and_nonnull<llvm::ConstantAsMetadata>(node_.getOperand(next_));
  }

 private:
  const llvm::MDNode& node_;
  std::string place_;
  unsigned next_ = 0;
};

// `count` 0: any of 1 to 3 components.
bool is_integer_type(llvm::Type* type) {
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
    if (vector->getNumElements() < 2 || vector->getNumElements() > 3)
      return false;
    type = vector->getElementType();
  }
  return type->isIntegerTy(16) || type->isIntegerTy(32);
}

llvm::GlobalVariable* read_condition(NodeReader& reader) {
  const llvm::Metadata* operand = reader.metadata("the function constant of an argument");
  // Apple's compiler refers to a node (global, type, name); ours to the global itself.
  if (const auto* node = llvm::dyn_cast_or_null<llvm::MDNode>(operand))
    operand = node->getNumOperands() > 0 ? node->getOperand(0).get() : nullptr;
  const auto* value = llvm::dyn_cast_or_null<llvm::ValueAsMetadata>(operand);
  auto* global = value ? llvm::dyn_cast<llvm::GlobalVariable>(value->getValue()) : nullptr;
  if (!global)
    reader.fail("its function constant is not a global");
  return global;
}

// One member of an argument buffer, after its place in the structure.
void read_member(const llvm::MDNode& node, const std::string& place, ArgumentMember& member) {
  NodeReader reader(node, place + ", member '" + member.name + "'");
  reader.number("its position");
  member.is_pointer = reader.string("its kind") == "air.buffer";
  while (!reader.at_end()) {
    const llvm::StringRef key = reader.string("a key");
    if (key == "air.location_index") {
      const std::uint64_t id = reader.number("air.location_index");
      reader.number("the second number of air.location_index");
      if (id > 0xffffffff)
        reader.fail("its index is too large");
      member.id = static_cast<unsigned>(id);
    } else if (key == "air.read" || key == "air.sample") {
      member.access = Access::read;
    } else if (key == "air.write") {
      member.access = Access::write;
    } else if (key == "air.read_write") {
      member.access = Access::read_write;
    } else if (key == "air.address_space") {
      const std::uint64_t space = reader.number("air.address_space");
      if (space < 1 || space > 3)
        reader.fail("its address space is " + std::to_string(space) + ", not 1, 2 or 3");
      member.address_space = static_cast<AddressSpace>(space);
    } else if (key == "air.arg_type_size") {
      const std::uint64_t size = reader.number("air.arg_type_size");
      if (member.is_pointer)
        member.size = size;
    } else if (key == "air.arg_type_align_size" || key == "air.buffer_size") {
      reader.number(key.data());
    } else if (key == "air.arg_type_name") {
      member.type_name = reader.string("air.arg_type_name").str();
    } else if (key == "air.arg_name") {
      reader.string("air.arg_name");
    } else if (key == "air.struct_type_info") {
      reader.metadata("air.struct_type_info");
    } else {
      reader.fail("unknown key '" + key.str() + "'");
    }
  }
}

// The structure that a list of members belongs to, inside the argument buffer.
struct Outer {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t id = 0;
  unsigned depth = 0;
};

// The list behind air.struct_type_info. A member is: if it is a structure, the list of that one;
// offset, size, length of an array, type, name; and in an argument buffer what it is, or for a
// structure the number that its own members' ids count from.
void read_members(const llvm::MDNode& list, const std::string& place, const Outer& outer,
                  std::vector<ArgumentMember>& members) {
  constexpr unsigned kMostDepth = 16;
  constexpr std::size_t kMostMembers = 4096;
  NodeReader reader(list, place + ", air.struct_type_info");
  if (outer.depth > kMostDepth)
    reader.fail("structures lie in each other more than 16 deep");
  while (!reader.at_end()) {
    const llvm::MDNode* inner =
        reader.has_key("air.struct_type_info") ? &reader.node("air.struct_type_info") : nullptr;
    ArgumentMember member;
    member.offset = outer.offset + reader.number("an offset");
    member.size = reader.number("a size");
    const std::uint64_t length = reader.number("the length of an array");
    member.type_name = reader.string("a type").str();
    const std::string name = reader.string("a name").str();
    // What a metal::array keeps its elements in has no name in the program.
    member.name = outer.name.empty()  ? name
                  : name == "__elems" ? outer.name
                                      : outer.name + "." + name;
    if (!reader.has_key("air.indirect_argument"))
      continue;
    if (reader.at_number()) {
      const std::uint64_t id = reader.number("air.indirect_argument");
      if (inner)
        read_members(*inner, place, {member.name, member.offset, outer.id + id, outer.depth + 1},
                     members);
      continue;
    }
    const std::uint64_t stride = member.size;
    read_member(reader.node("air.indirect_argument"), place, member);
    member.id += static_cast<unsigned>(outer.id);
    if (members.size() + std::max<std::uint64_t>(length, 1) > kMostMembers)
      reader.fail("it has more than 4096 members");
    if (length == 0) {
      members.push_back(std::move(member));
      continue;
    }
    for (std::uint64_t i = 0; i < length; ++i) {
      ArgumentMember element = member;
      element.name += "[" + std::to_string(i) + "]";
      element.offset += i * stride;
      element.id += static_cast<unsigned>(i);
      members.push_back(std::move(element));
    }
  }
}

void read_buffer(NodeReader& reader, EntryPoint& entry, unsigned position, bool is_indirect,
                 llvm::GlobalVariable* condition) {
  Argument argument;
  argument.is_active = true;
  bool has_index = false;
  while (!reader.at_end()) {
    llvm::StringRef key = reader.string("a key");
    if (key == "air.buffer_size") {
      reader.number("air.buffer_size");
      argument.is_reference = true;
    } else if (key == "air.location_index") {
      std::uint64_t index = reader.number("air.location_index");
      reader.number("the second number of air.location_index");
      if (index > 30)
        reader.fail("its index is " + std::to_string(index) + ", but the largest is 30");
      argument.index = static_cast<unsigned>(index);
      has_index = true;
    } else if (key == "air.read") {
      argument.access = Access::read;
    } else if (key == "air.write") {
      argument.access = Access::write;
    } else if (key == "air.read_write") {
      argument.access = Access::read_write;
    } else if (key == "air.address_space") {
      std::uint64_t space = reader.number("air.address_space");
      if (space < 1 || space > 3)
        reader.fail("its address space is " + std::to_string(space) + ", not 1, 2 or 3");
      argument.address_space = static_cast<AddressSpace>(space);
    } else if (key == "air.struct_type_info" || key == "air.indirect_argument") {
      const auto* node = llvm::dyn_cast_or_null<llvm::MDNode>(reader.metadata(key.data()));
      if (is_indirect && node && key == "air.struct_type_info")
        read_members(*node, reader.place(), {}, argument.members);
    } else if (key == "air.arg_type_size") {
      argument.size = reader.number("air.arg_type_size");
    } else if (key == "air.arg_type_align_size") {
      argument.alignment = reader.number("air.arg_type_align_size");
    } else if (key == "air.arg_type_name") {
      argument.type_name = reader.string("air.arg_type_name").str();
    } else if (key == "air.arg_name") {
      argument.name = reader.string("air.arg_name").str();
    } else if (key == "air.arg_unused") {
      argument.is_used = false;
    } else if (key == "air.function_constant") {
      condition = read_condition(reader);
    } else {
      reader.fail("unknown key '" + key.str() + "'");
    }
  }
  if (!has_index)
    reader.fail("it has no air.location_index");
  if (argument.alignment == 0)
    argument.alignment = 1;
  if (argument.alignment > 4096 || (argument.alignment & (argument.alignment - 1)) != 0)
    reader.fail("its alignment, " + std::to_string(argument.alignment) + ", is not a power of two");
  if (!entry.function->getArg(position)->getType()->isPointerTy())
    reader.fail("it is a buffer, but the function's argument is not a pointer");
  argument.kind = argument.address_space == AddressSpace::threadgroup
                      ? ArgumentKind::threadgroup_memory
                      : ArgumentKind::buffer;
  // The pointer's own address space decides what code may do with it; metadata that says otherwise
  // lies.
  if (entry.function->getArg(position)->getType()->getPointerAddressSpace() !=
      static_cast<unsigned>(argument.address_space))
    reader.fail("its address space is not the one of the function's argument");
  entry.arguments.push_back(std::move(argument));
  entry.argument_positions.push_back(position);
  entry.conditions.push_back(condition);
}

// A texture or a sampler.
void read_handle(NodeReader& reader, EntryPoint& entry, unsigned position, ArgumentKind kind,
                 llvm::GlobalVariable* condition) {
  Argument argument;
  argument.kind = kind;
  argument.access = Access::read;
  const bool texture = kind == ArgumentKind::texture;
  argument.address_space = texture ? AddressSpace::device : AddressSpace::constant;
  argument.alignment = 1;
  const std::uint64_t most = texture ? 127 : 15;
  bool has_index = false;
  while (!reader.at_end()) {
    const llvm::StringRef key = reader.string("a key");
    if (key == "air.location_index") {
      const std::uint64_t index = reader.number("air.location_index");
      if (reader.number("the second number of air.location_index") != 1)
        reader.fail("arrays of textures and samplers are not supported");
      if (index > most)
        reader.fail("its index is " + std::to_string(index) + ", but the largest is " +
                    std::to_string(most));
      argument.index = static_cast<unsigned>(index);
      has_index = true;
    } else if (key == "air.sample" || key == "air.read") {
      argument.access = Access::read;
    } else if (key == "air.write") {
      argument.access = Access::write;
    } else if (key == "air.read_write") {
      argument.access = Access::read_write;
    } else if (key == "air.arg_type_name") {
      argument.type_name = reader.string("air.arg_type_name").str();
    } else if (key == "air.arg_name") {
      argument.name = reader.string("air.arg_name").str();
    } else if (key == "air.arg_unused") {
      argument.is_used = false;
    } else if (key == "air.function_constant") {
      condition = read_condition(reader);
    } else {
      reader.fail("unknown key '" + key.str() + "'");
    }
  }
  if (!has_index)
    reader.fail("it has no air.location_index");
  if (!entry.function->getArg(position)->getType()->isPointerTy())
    reader.fail("it is a texture or a sampler, but the function's argument is not a pointer");
  entry.arguments.push_back(std::move(argument));
  entry.argument_positions.push_back(position);
  entry.conditions.push_back(condition);
}

void read_built_in(NodeReader& reader, EntryPoint& entry, llvm::StringRef kind, unsigned position) {
  const auto* found = std::find_if(std::begin(kBuiltIns), std::end(kBuiltIns),
                                   [&](const auto& known) { return kind == known.first; });
  if (found == std::end(kBuiltIns))
    throw Error(errors::unsupported_built_in,
                "kernel '" + entry.name + "': an argument of kind '" + kind.str() +
                    "' is not supported: only buffers, threadgroup memory, textures, samplers and "
                    "the thread position "
                    "attributes of compute kernels are");
  BuiltIn built_in{found->second, position, entry.function->getArg(position)->getType()};
  if (!is_integer_type(built_in.type))
    reader.fail("the built-in " + kind.str() + " is not an integer or a vector of 2 or 3 of them");
  entry.built_ins.push_back(built_in);
}

void read_argument(const llvm::MDNode& node, EntryPoint& entry, std::set<unsigned>& seen) {
  NodeReader reader(node, "kernel '" + entry.name + "'");
  std::uint64_t position = reader.number("an argument's position");
  reader.move_place(", argument " + std::to_string(position));
  if (position >= entry.function->arg_size())
    reader.fail("the function has only " + std::to_string(entry.function->arg_size()) +
                " arguments");
  if (!seen.insert(static_cast<unsigned>(position)).second)
    reader.fail("it is described twice");
  llvm::GlobalVariable* condition = nullptr;
  llvm::StringRef kind = reader.string("the kind of an argument");
  if (kind == "air.function_constant") {
    condition = read_condition(reader);
    kind = reader.string("the kind of an argument");
  }
  if (kind == "air.buffer" || kind == "air.indirect_buffer")
    return read_buffer(reader, entry, static_cast<unsigned>(position), kind != "air.buffer",
                       condition);
  if (kind == "air.texture" || kind == "air.sampler")
    return read_handle(reader, entry, static_cast<unsigned>(position),
                       kind == "air.texture" ? ArgumentKind::texture : ArgumentKind::sampler,
                       condition);
  if (!kind.consume_front("air."))
    reader.fail("unknown kind '" + kind.str() + "'");
  read_built_in(reader, entry, kind, static_cast<unsigned>(position));
}

// A binding is addressed by its index: two arguments of one index could not both be bound.
void check_indices(const EntryPoint& entry) {
  std::set<std::pair<ArgumentKind, unsigned>> taken;
  for (std::size_t i = 0; i < entry.arguments.size(); ++i) {
    const Argument& argument = entry.arguments[i];
    // Alternatives chosen by function constants may share an index.
    if (entry.conditions[i])
      continue;
    if (!taken.insert({argument.kind, argument.index}).second)
      throw Error(errors::invalid_air, "kernel '" + entry.name + "': index " +
                                           std::to_string(argument.index) + " is used twice");
  }
}

EntryPoint read_entry_point(const llvm::MDNode& node) {
  auto fail = [](const std::string& what) {
    throw Error(errors::invalid_air, "!air.kernel: " + what);
  };
  if (node.getNumOperands() < 3)
    fail("a kernel's node has fewer than three operands");
  const auto* value = llvm::dyn_cast_or_null<llvm::ValueAsMetadata>(node.getOperand(0).get());
  auto* function =
      value ? llvm::dyn_cast<llvm::Function>(value->getValue()->stripPointerCasts()) : nullptr;
  if (!function)
    fail("a kernel's node does not begin with a function");
  EntryPoint entry;
  entry.function = function;
  entry.name = function->getName().str();
  if (function->isDeclaration())
    fail("the function of kernel '" + entry.name + "' has no body");
  if (!function->getReturnType()->isVoidTy() || function->isVarArg())
    fail("the function of kernel '" + entry.name + "' does not return void");
  const auto* arguments = llvm::dyn_cast_or_null<llvm::MDNode>(node.getOperand(2).get());
  if (!arguments)
    fail("kernel '" + entry.name + "' has no list of arguments");
  std::set<unsigned> seen;
  for (const llvm::MDOperand& operand : arguments->operands()) {
    const auto* argument = llvm::dyn_cast_or_null<llvm::MDNode>(operand.get());
    if (!argument)
      fail("kernel '" + entry.name + "': an argument is not a node");
    read_argument(*argument, entry, seen);
  }
  for (const llvm::Argument& argument : function->args())
    if (!seen.contains(argument.getArgNo()) && !argument.use_empty())
      fail("kernel '" + entry.name + "': argument " + std::to_string(argument.getArgNo()) +
           " of the function is used, but not described");
  check_indices(entry);

  std::uint64_t limit = 0;
  if (const llvm::MDNode* limit_node = function->getMetadata("air.max_work_group_size")) {
    NodeReader reader(*limit_node, "kernel '" + entry.name + "': air.max_work_group_size");
    limit = reader.number("the limit");
  } else if (function->hasFnAttribute("max-work-group-size")) {
    if (function->getFnAttribute("max-work-group-size").getValueAsString().getAsInteger(10, limit))
      fail("kernel '" + entry.name + "': max-work-group-size is not a number");
  }
  if (limit != 0)
    entry.max_total_threads_per_threadgroup = std::min<std::uint64_t>(limit, 1024);
  return entry;
}

} // namespace

const char* name(BuiltInKind kind) {
  for (const auto& known : kBuiltIns)
    if (known.second == kind)
      return known.first;
  return "?";
}

std::vector<EntryPoint> read_entry_points(llvm::Module& module) {
  std::vector<EntryPoint> entries;
  std::set<std::string> names;
  if (const llvm::NamedMDNode* kernels = module.getNamedMetadata("air.kernel"))
    for (const llvm::MDNode* node : kernels->operands()) {
      entries.push_back(read_entry_point(*node));
      if (!names.insert(entries.back().name).second)
        throw Error(errors::invalid_air, "kernel '" + entries.back().name + "' is described twice");
    }
  return entries;
}

} // namespace metalwright::air
