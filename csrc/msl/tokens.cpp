// Rewrites MSL's own grammar to C++ that Clang parses, between the preprocessor and the parser.
#include "msl/tokens.h"

#include "msl/attributes.h"
#include "msl/clang_attributes.h"
#include "msl/target.h"

#include <clang/Basic/Diagnostic.h>
#include <clang/Lex/LiteralSupport.h>
#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/ADT/StringExtras.h>

#include <map>

namespace metalwright::msl {
namespace {

using clang::Token;
namespace tok = clang::tok;

constexpr unsigned version(unsigned major, unsigned minor) {
  return major << 16 | minor;
}
// Names of the language and its library that the specification gives to a version after 2.4.
constexpr std::pair<const char*, unsigned> kNewNames[] = {
    {"atomic_float", version(3, 0)},
    {"bfloat", version(3, 1)},
    {"bfloat2", version(3, 1)},
    {"bfloat3", version(3, 1)},
    {"bfloat4", version(3, 1)},
    {"packed_bfloat2", version(3, 1)},
    {"packed_bfloat3", version(3, 1)},
    {"packed_bfloat4", version(3, 1)},
    {"simdgroup_bfloat8x8", version(3, 1)},
    {"atomic_thread_fence", version(3, 2)},
    {"thread_scope_device", version(3, 2)},
    {"thread_scope_threadgroup", version(3, 2)},
    {"memory_order_acquire", version(3, 2)},
    {"memory_order_release", version(3, 2)},
    {"memory_order_acq_rel", version(3, 2)},
    {"memory_order_seq_cst", version(3, 2)},
    {"os_log", version(3, 2)},
    {"os_log_default", version(3, 2)},
    {"dextents", version(4, 0)},
    {"tensor_handle", version(4, 0)},
    {"tensor_inline", version(4, 0)},
    {"cooperative_tensor", version(4, 0)},
    {"matmul2d_descriptor", version(4, 0)},
    {"execution_simdgroup", version(4, 0)},
    {"execution_simdgroups", version(4, 0)},
};

class Rewriter {
 public:
  Rewriter(clang::Preprocessor& preprocessor, std::vector<Token> tokens, bool is_library,
           unsigned language_version)
      : preprocessor_(preprocessor), in_(std::move(tokens)), is_library_(is_library) {
    if (!is_library)
      for (const auto& [name, since] : kNewNames)
        if (language_version < since)
          too_new_.try_emplace(identifier(name), since);
    out_.reserve(in_.size() + in_.size() / 4);
    device_ = identifier("device");
    threadgroup_ = identifier("threadgroup");
    constant_ = identifier("constant");
    thread_ = identifier("thread");
    kernel_ = identifier("kernel");
    function_constant_ = identifier("function_constant");
    opencl_global_ = identifier("opencl_global");
    opencl_local_ = identifier("opencl_local");
    opencl_private_ = identifier("opencl_private");
    annotate_ = identifier("annotate");
    for (const char* name : {"half", "bfloat", "float16_t", "bfloat16_t"})
      converted_types_.insert(identifier(name));
  }

  std::vector<Token> run() {
    find_object_spaces();
    while (position_ < in_.size())
      step();
    return std::move(out_);
  }

 private:
  // ------------------------------------------------------------------ looking at the input
  clang::IdentifierInfo* identifier(llvm::StringRef name) {
    return preprocessor_.getIdentifierInfo(name);
  }
  const Token& at(size_t index) const { return in_[std::min(index, in_.size() - 1)]; }
  bool is(size_t index, tok::TokenKind kind) const { return at(index).is(kind); }
  bool is_name(size_t index, const clang::IdentifierInfo* name) const {
    const Token& token = at(index);
    return token.is(tok::identifier) && token.getIdentifierInfo() == name;
  }
  bool is_address_space(size_t index) const {
    return is_name(index, device_) || is_name(index, threadgroup_) || is_name(index, constant_) ||
           is_name(index, thread_);
  }
  bool starts_attributes(size_t index) const {
    return is(index, tok::l_square) && is(index + 1, tok::l_square);
  }

  // The index behind the bracket that matches the one at `index`.
  size_t skip_brackets(size_t index) const {
    int depth = 0;
    for (; !is(index, tok::eof); ++index) {
      if (at(index).isOneOf(tok::l_paren, tok::l_square, tok::l_brace))
        ++depth;
      else if (at(index).isOneOf(tok::r_paren, tok::r_square, tok::r_brace) && --depth == 0)
        return index + 1;
    }
    return index;
  }

  // The index behind the `>` that matches the `<` at `index`.
  size_t skip_angles(size_t index) const {
    int depth = 0;
    while (!is(index, tok::eof)) {
      if (at(index).isOneOf(tok::l_paren, tok::l_square, tok::l_brace)) {
        index = skip_brackets(index);
        continue;
      }
      // `sizeof(T) < 8` compares.
      if (is(index, tok::less) &&
          !(index > 0 && at(index - 1).isOneOf(tok::r_paren, tok::numeric_constant)))
        ++depth;
      else if (is(index, tok::greater))
        --depth;
      else if (is(index, tok::greatergreater))
        depth -= 2;
      else if (is(index, tok::semi))
        return index;
      ++index;
      if (depth <= 0)
        return index;
    }
    return index;
  }

  // The index of the first token of the declarator, given one inside the declaration specifiers.
  size_t skip_declaration_specifiers(size_t index) const {
    bool seen_type = false;
    for (;;) {
      const Token& token = at(index);
      if (token.isOneOf(tok::kw_const, tok::kw_volatile, tok::kw_constexpr, tok::kw_static,
                        tok::kw_inline, tok::kw_typename, tok::kw_struct, tok::kw_union,
                        tok::kw_enum, tok::kw_class) ||
          is_address_space(index)) {
        ++index;
      } else if (token.isOneOf(tok::kw_unsigned, tok::kw_signed, tok::kw_int, tok::kw_short,
                               tok::kw_long, tok::kw_char, tok::kw_float, tok::kw_double,
                               tok::kw_bool, tok::kw__Float16, tok::kw___bf16, tok::kw_auto)) {
        seen_type = true;
        ++index;
      } else if (token.isOneOf(tok::kw_decltype, tok::kw_typeof, tok::kw_alignas,
                               tok::kw___attribute)) {
        seen_type = seen_type || token.isOneOf(tok::kw_decltype, tok::kw_typeof);
        index = skip_brackets(index + 1);
      } else if (starts_attributes(index)) {
        index = skip_brackets(index);
      } else if (!seen_type && token.isOneOf(tok::identifier, tok::coloncolon)) {
        seen_type = true;
        if (token.is(tok::coloncolon))
          ++index;
        for (;;) {
          ++index; // the identifier
          if (is(index, tok::less))
            index = skip_angles(index);
          if (!is(index, tok::coloncolon))
            break;
          ++index;
          if (is(index, tok::kw_template))
            ++index;
        }
      } else {
        return index;
      }
    }
  }

  // Whether the address space at position_ qualifies a variable itself: a declaration statement
  // whose first declarator is a plain name. (`threadgroup float* p` is a thread variable that
  // points there.)
  bool declares_variable_in_space() const {
    size_t begin = position_;
    while (begin > 0) {
      const Token& token = at(begin - 1);
      if (token.isOneOf(tok::kw_static, tok::kw_extern))
        return false;
      if (token.isOneOf(tok::kw_const, tok::kw_volatile, tok::kw_constexpr, tok::kw_inline))
        --begin;
      else
        break;
    }
    if (begin > 0) {
      const Token& before = at(begin - 1);
      if (!before.isOneOf(tok::semi, tok::l_brace, tok::r_brace, tok::colon, tok::r_paren,
                          tok::r_square) &&
          !before.isAnnotation())
        return false;
      // `f(...) constant` and `array[...] constant` never start a declaration, but `alignas(16)`
      // and
      // `[[attribute]]` in front of one do.
      if (before.is(tok::r_square) && !(begin > 1 && is(begin - 2, tok::r_square)))
        return false;
      if (before.is(tok::r_paren) && !closes_alignas(begin - 1))
        return false;
    }
    const size_t declarator = skip_declaration_specifiers(position_);
    return is(declarator, tok::identifier) &&
           at(declarator + 1)
               .isOneOf(tok::l_square, tok::semi, tok::comma, tok::equal, tok::l_brace);
  }

  // `f(constant int strides[2])`: a parameter of array type is a pointer, but Clang looks at the
  // array and refuses an address space on it. Returns the index of the parameter's name if what
  // stands at position_ begins such a parameter, else 0.
  size_t array_parameter() const {
    size_t begin = position_;
    while (begin > 0 && at(begin - 1).isOneOf(tok::kw_const, tok::kw_volatile))
      --begin;
    if (begin == 0 || !at(begin - 1).isOneOf(tok::l_paren, tok::comma))
      return 0;
    const size_t name = skip_declaration_specifiers(position_);
    if (!is(name, tok::identifier) || !is(name + 1, tok::l_square) || starts_attributes(name + 1))
      return 0;
    size_t end = name + 1;
    while (is(end, tok::l_square) && !starts_attributes(end))
      end = skip_brackets(end);
    // An argument, `f(constant_values[0])`, has no type in front of its name.
    return name > position_ + 1 &&
                   (at(end).isOneOf(tok::comma, tok::r_paren, tok::equal) || starts_attributes(end))
               ? name
               : 0;
  }

  bool closes_alignas(size_t index) const {
    int depth = 0;
    for (;; --index) {
      if (is(index, tok::r_paren))
        ++depth;
      else if (is(index, tok::l_paren) && --depth == 0)
        return index > 0 && is(index - 1, tok::kw_alignas);
      if (index == 0)
        return false;
    }
  }

  // Whether the declaration at position_ carries [[function_constant(n)]] and has no initialiser.
  bool declares_function_constant() const {
    size_t begin = position_;
    while (begin > 0 &&
           at(begin - 1).isOneOf(tok::kw_static, tok::kw_const, tok::kw_extern, tok::kw_constexpr))
      --begin;
    if (begin > 0 && !at(begin - 1).isOneOf(tok::semi, tok::l_brace, tok::r_brace) &&
        !at(begin - 1).isAnnotation())
      return false;
    for (size_t index = position_; !is(index, tok::eof); ++index) {
      if (at(index).isOneOf(tok::semi, tok::l_brace, tok::equal, tok::l_paren, tok::r_paren) &&
          !(index > 0 && is_name(index - 1, function_constant_)))
        return false;
      if (is_name(index, function_constant_) && at(index - 1).isOneOf(tok::l_square, tok::comma))
        return true;
    }
    return false;
  }

  // ------------------------------------------------------------------ writing the output
  void emit(tok::TokenKind kind, const Token& where, clang::IdentifierInfo* name = nullptr) {
    Token token;
    token.startToken();
    token.setKind(kind);
    token.setLocation(where.getLocation());
    token.setLength(where.isAnnotation() ? 1 : where.getLength());
    if (name)
      token.setIdentifierInfo(name);
    if (where.isAtStartOfLine())
      token.setFlag(Token::StartOfLine);
    out_.push_back(token);
  }
  void emit_keyword(tok::TokenKind kind, const Token& where) {
    emit(kind, where, identifier(tok::getKeywordSpelling(kind)));
  }
  void emit_string(const std::string& text, const Token& where) {
    Token token;
    token.startToken();
    token.setKind(tok::string_literal);
    preprocessor_.CreateString("\"" + text + "\"", token, where.getLocation(), where.getLocation());
    out_.push_back(token);
  }
  void open_attribute(const Token& where) {
    emit_keyword(tok::kw___attribute, where);
    emit(tok::l_paren, where);
    emit(tok::l_paren, where);
  }
  void close_attribute(const Token& where) {
    emit(tok::r_paren, where);
    emit(tok::r_paren, where);
  }
  void emit_qualifier(clang::IdentifierInfo* name, const Token& where) {
    open_attribute(where);
    emit(tok::identifier, where, name);
    close_attribute(where);
  }
  // Arguments are in_[begin, end). A function constant is referred to by address, since its value
  // is not a constant expression.
  void emit_annotation(llvm::StringRef name, const Token& where, size_t begin, size_t end,
                       bool by_address) {
    open_attribute(where);
    emit(tok::identifier, where, annotate_);
    emit(tok::l_paren, where);
    emit_string((kAnnotationPrefix + name).str(), where);
    if (begin != end) {
      emit(tok::comma, where);
      if (by_address)
        emit(tok::amp, where);
      out_.insert(out_.end(), in_.begin() + static_cast<std::ptrdiff_t>(begin),
                  in_.begin() + static_cast<std::ptrdiff_t>(end));
    }
    emit(tok::r_paren, where);
    close_attribute(where);
  }

  template <unsigned N>
  clang::DiagnosticBuilder error(const Token& where, const char (&format)[N]) {
    clang::DiagnosticsEngine& engine = preprocessor_.getDiagnostics();
    return engine.Report(where.getLocation(),
                         engine.getCustomDiagID(clang::DiagnosticsEngine::Error, format));
  }

  // ------------------------------------------------------------------ half and bfloat
  // Clang converts neither of the two to the other, not even when asked to. Where a cast may be one
  // of those, its operand goes through __widened(), which makes a float of either and passes on
  // what is neither.
  bool is_converted_type(size_t index) const {
    return is(index, tok::identifier) && converted_types_.contains(at(index).getIdentifierInfo());
  }
  void collect_type_parameters() {
    const size_t end = skip_angles(position_ + 1);
    for (size_t index = position_ + 2; index + 1 < end; ++index)
      if (at(index).isOneOf(tok::kw_typename, tok::kw_class) && is(index + 1, tok::identifier))
        converted_types_.insert(at(index + 1).getIdentifierInfo());
  }
  // Whether the parentheses that open at `index` hold one expression worth converting.
  bool holds_operand(size_t index) const {
    const size_t end = skip_brackets(index) - 1;
    if (end <= index + 1 || is(index + 1, tok::l_brace) ||
        (end == index + 2 && !is(index + 1, tok::identifier)) || is_address_space(index + 1) ||
        at(index + 1).isOneOf(tok::kw_const, tok::kw_float, tok::kw_int, tok::kw_bool,
                              tok::kw_unsigned, tok::kw_void))
      return false;
    // `T (*f)(T)` and `T (&a)[4]` declare something.
    if (at(index + 1).isOneOf(tok::star, tok::amp) &&
        at(end + 1).isOneOf(tok::l_paren, tok::l_square))
      return false;
    for (size_t inner = index + 1; inner < end; ++inner) {
      if (at(inner).isOneOf(tok::l_paren, tok::l_square, tok::l_brace))
        inner = skip_brackets(inner) - 1;
      else if (at(inner).isOneOf(tok::comma, tok::ellipsis))
        return false;
    }
    return true;
  }
  // The index behind the operand of a cast that starts at `index`; 0 if it is not of a simple form.
  size_t operand_end(size_t index) const {
    while (at(index).isOneOf(tok::minus, tok::plus, tok::tilde, tok::exclaim, tok::star))
      ++index;
    if (is(index, tok::l_paren)) {
      index = skip_brackets(index);
      if (at(index).isOneOf(tok::identifier, tok::numeric_constant)) // `(float)x`
        return operand_end(index);
    } else if (is(index, tok::kw_static_cast)) {
      index = skip_brackets(skip_angles(index + 1));
    } else if (is(index, tok::identifier)) {
      for (;; ++index) {
        ++index;
        if (is(index, tok::less)) {
          const size_t end = skip_angles(index);
          if (at(end).isOneOf(tok::l_paren, tok::coloncolon))
            index = end;
        }
        if (!is(index, tok::coloncolon))
          break;
      }
    } else {
      return 0;
    }
    for (;;) {
      if (at(index).isOneOf(tok::l_paren, tok::l_square))
        index = skip_brackets(index);
      else if (at(index).isOneOf(tok::period, tok::arrow) && is(index + 1, tok::identifier))
        index += 2;
      else
        return index;
    }
  }
  void open_widened(const Token& where) {
    for (const char* name : {"metal", "__msl", "__widened"}) {
      emit(tok::coloncolon, where);
      emit(tok::identifier, where, identifier(name));
    }
    emit(tok::l_paren, where);
  }
  void copy_until(size_t end) {
    while (position_ < end)
      out_.push_back(at(position_++));
  }
  // Whether what stands at position_ was the head of such a cast and has been written.
  bool conversion() {
    if (is_library_)
      return false;
    if (is(position_, tok::kw_static_cast)) {
      if (!is(position_ + 1, tok::less) || !is_converted_type(position_ + 2) ||
          !is(position_ + 3, tok::greater) || !holds_operand(position_ + 4))
        return false;
      close_before_.push_back(skip_brackets(position_ + 4) - 1);
      copy_until(position_ + 5);
      open_widened(at(position_));
      return true;
    }
    const bool after_expression =
        position_ > 0 &&
        at(position_ - 1)
            .isOneOf(tok::identifier, tok::r_paren, tok::r_square, tok::greater, tok::period,
                     tok::arrow, tok::kw_operator, tok::kw_sizeof, tok::kw_alignof, tok::tilde,
                     tok::kw_decltype, tok::coloncolon, tok::kw_explicit, tok::kw_const);
    if (after_expression)
      return false;
    if (is_converted_type(position_)) {
      if (!is(position_ + 1, tok::l_paren) || !holds_operand(position_ + 1))
        return false;
      close_before_.push_back(skip_brackets(position_ + 1) - 1);
      copy_until(position_ + 2);
      open_widened(at(position_));
      return true;
    }
    if (is(position_, tok::l_paren) && is_converted_type(position_ + 1) &&
        is(position_ + 2, tok::r_paren)) {
      const size_t end = operand_end(position_ + 3);
      if (end == 0)
        return false;
      close_before_.push_back(end);
      copy_until(position_ + 3);
      open_widened(at(position_));
      return true;
    }
    return false;
  }

  // ------------------------------------------------------------------ the rules
  void step() {
    while (!close_before_.empty() && close_before_.back() == position_) {
      emit(tok::r_paren, at(position_));
      close_before_.pop_back();
    }
    const Token& token = at(position_);
    if (const auto found = object_spaces_.find(position_); found != object_spaces_.end()) {
      emit_object_space(found->second);
      object_spaces_.erase(found);
    }
    if (ends_of_classes_.erase(position_) != 0)
      emit_end_of_class();
    if (is(position_, tok::kw_template) && is(position_ + 1, tok::less))
      collect_type_parameters();
    if (token.isOneOf(tok::identifier, tok::kw_static_cast, tok::l_paren) && conversion())
      return;
    if (token.is(tok::identifier)) {
      if (const auto found = too_new_.find(token.getIdentifierInfo()); found != too_new_.end())
        error(token, "'%0' requires Metal language version %1.%2 or newer")
            << token.getIdentifierInfo()->getName() << (found->second >> 16)
            << (found->second & 0xffff);
      if (is_address_space(position_)) {
        // `thread` and its like are keywords of MSL: as the name of a member they cannot occur.
        if (dropped_.contains(position_))
          ++position_;
        else
          address_space();
        return;
      }
      if (!arrays_.empty() && arrays_.erase(position_) != 0) {
        pointer_for_array();
        return;
      }
      if (token.getIdentifierInfo() == kernel_) {
        emit_annotation("kernel", token, 0, 0, false);
        ++position_;
        return;
      }
    } else if (starts_attributes(position_)) {
      attributes();
      return;
    } else if (token.is(tok::l_square) && holds_indices()) {
      // `tensor[i, j]`: C++17 would take the comma for an operator and drop i.
      close_before_.push_back(skip_brackets(position_) - 1);
      out_.push_back(token);
      ++position_;
      for (const char* name : {"metal", "__msl", "indices"}) {
        emit(tok::coloncolon, token);
        emit(tok::identifier, token, identifier(name));
      }
      emit(tok::l_paren, token);
      return;
    } else if (token.is(tok::numeric_constant)) {
      number();
      return;
    } else if (token.isOneOf(tok::string_literal, tok::kw___func__, tok::kw___FUNCTION__,
                             tok::kw___PRETTY_FUNCTION__)) {
      string();
      return;
    } else {
      unsupported(token);
    }
    out_.push_back(token);
    ++position_;
  }

  // Whether the bracket at position_ is a subscript with commas in it.
  bool holds_indices() const {
    if (position_ == 0 || !at(position_ - 1).isOneOf(tok::identifier, tok::r_paren, tok::r_square))
      return false;
    const size_t end = skip_brackets(position_) - 1;
    for (size_t index = position_ + 1; index < end; ++index) {
      if (at(index).isOneOf(tok::l_paren, tok::l_square, tok::l_brace))
        index = skip_brackets(index) - 1;
      else if (is(index, tok::comma))
        return true;
    }
    return false;
  }

  void address_space() {
    const Token& token = at(position_);
    if (const size_t name = array_parameter())
      arrays_.insert(name);
    if (token.getIdentifierInfo() == device_) {
      emit_qualifier(opencl_global_, token);
    } else if (token.getIdentifierInfo() == threadgroup_) {
      // A member is refused by Clang as it stands.
      if (declares_variable_in_space() && end_of_class(position_) == 0)
        emit_keyword(tok::kw_static, token);
      emit_qualifier(opencl_local_, token);
    } else if (token.getIdentifierInfo() == constant_) {
      if (declares_function_constant()) {
        while (!out_.empty() && out_.back().isOneOf(tok::kw_static, tok::kw_constexpr))
          out_.pop_back();
        // It has no value yet, so it is no constant expression, whatever it is declared as.
        for (size_t index = position_; !at(index).isOneOf(tok::semi, tok::eof); ++index)
          if (is(index, tok::kw_constexpr)) {
            in_[index].setKind(tok::kw_const);
            in_[index].setIdentifierInfo(identifier("const"));
          }
        emit_keyword(tok::kw_extern, token);
      } else if (declares_variable_in_space()) {
        emit_keyword(tok::kw_static, token);
      }
      emit_keyword(tok::kw_const, token);
      emit_qualifier(opencl_private_, token);
    } // `thread` is where things are anyway
    ++position_;
  }

  // `name[2][3]` becomes `(*name)[3]`.
  void pointer_for_array() {
    const Token& name = at(position_);
    emit(tok::l_paren, name);
    emit(tok::star, name);
    out_.push_back(name);
    emit(tok::r_paren, name);
    position_ = skip_brackets(position_ + 1);
  }

  // ------------------------------------------------------------------ qualified members
  // `void f() const device {`: the qualifier goes, and an attribute in front of the member says the
  // same. Members are looked for before anything is rewritten, since the attribute comes first.
  void find_object_spaces() {
    for (size_t index = 0; index < in_.size(); ++index)
      if (in_[index].is(tok::identifier) && is_address_space(index) && index > 0)
        trailing_qualifier(index);
  }
  void trailing_qualifier(size_t index) {
    size_t before = index;
    while (before > 0 && at(before - 1).isOneOf(tok::kw_const, tok::kw_volatile))
      --before;
    if (before == 0 || !is(before - 1, tok::r_paren) || dropped_.contains(index))
      return;
    size_t after = index + 1;
    while (is_address_space(after) || at(after).isOneOf(tok::kw_const, tok::kw_volatile, tok::amp))
      ++after;
    if (!at(after).isOneOf(tok::l_brace, tok::semi, tok::arrow, tok::colon, tok::kw_noexcept,
                           tok::equal))
      return;
    for (size_t i = index; i < after; ++i)
      if (is_address_space(i))
        dropped_.insert(i);
    size_t begin = before;
    for (int depth = 0; begin > 0; --begin) {
      const Token& token = at(begin - 1);
      if (token.isOneOf(tok::r_paren, tok::r_square))
        ++depth;
      else if (token.isOneOf(tok::l_paren, tok::l_square))
        --depth;
      else if (depth == 0 &&
               (token.isOneOf(tok::semi, tok::l_brace, tok::r_brace) || token.isAnnotation() ||
                (token.is(tok::colon) && begin > 1 &&
                 at(begin - 2).isOneOf(tok::kw_public, tok::kw_private, tok::kw_protected))))
        break;
    }
    while (is(begin, tok::kw_template) && is(begin + 1, tok::less))
      begin = skip_angles(begin + 1);
    // `using f = void (thread T&) device;` is no member; harmless.
    if (is(begin, tok::kw_using) || is(begin, tok::kw_typedef))
      return;
    const unsigned space = is_name(index, device_)        ? kDeviceSpace
                           : is_name(index, threadgroup_) ? kThreadgroupSpace
                           : is_name(index, constant_)    ? kConstantSpace
                                                          : kThreadSpace;
    object_spaces_.try_emplace(begin, space);
    if (const size_t end = end_of_class(begin))
      ends_of_classes_.insert(end);
  }
  // The brace that closes the class whose member begins at `index`; 0 if it is defined outside.
  size_t end_of_class(size_t index) const {
    int depth = 0;
    for (; index > 0; --index) {
      if (is(index - 1, tok::r_brace))
        ++depth;
      else if (is(index - 1, tok::l_brace) && depth-- == 0)
        break;
    }
    for (size_t head = index; head > 1; --head) {
      const Token& token = at(head - 2);
      if (token.isOneOf(tok::kw_struct, tok::kw_class, tok::kw_union) &&
          !is(head - 3, tok::kw_enum))
        return skip_brackets(index - 1) - 1;
      if (token.isOneOf(tok::semi, tok::l_brace, tok::r_brace, tok::kw_namespace))
        return 0;
    }
    return 0;
  }
  void emit_object_space(unsigned space) {
    const Token& where = at(position_);
    open_attribute(where);
    emit(tok::identifier, where, identifier(kObjectSpaceAttribute));
    emit(tok::l_paren, where);
    Token number;
    number.startToken();
    number.setKind(tok::numeric_constant);
    preprocessor_.CreateString(std::to_string(space), number, where.getLocation(),
                               where.getLocation());
    out_.push_back(number);
    emit(tok::r_paren, where);
    close_attribute(where);
  }
  void emit_end_of_class() {
    const Token& where = at(position_);
    emit_keyword(tok::kw_typedef, where);
    open_attribute(where);
    emit(tok::identifier, where, identifier(kObjectSpacesEndAttribute));
    close_attribute(where);
    emit_keyword(tok::kw_void, where);
    emit(tok::identifier, where, identifier("__msl_object_spaces"));
    emit(tok::semi, where);
  }

  void attributes() {
    const size_t end = skip_brackets(position_);
    const size_t last = end >= 2 ? end - 2 : end; // the first of the two closing brackets
    size_t index = position_ + 2;
    while (index < last) {
      if (is(index, tok::comma)) {
        ++index;
        continue;
      }
      const Token& name = at(index);
      // A pragma's annotation has no name either, and what it has instead is no pointer to one.
      if (name.isAnnotation() || !name.getIdentifierInfo()) {
        error(name, "expected an attribute name");
        break;
      }
      if (is(index + 1, tok::coloncolon)) { // [[clang::...]], [[gnu::...]]: Clang's own matter
        const size_t stop = is(index + 3, tok::l_paren) ? skip_brackets(index + 3) : index + 3;
        pass_attribute(index, stop);
        index = stop;
        continue;
      }
      size_t begin = index + 1, stop = index + 1;
      if (is(index + 1, tok::l_paren)) {
        stop = skip_brackets(index + 1);
        begin = index + 2;
      }
      const size_t arguments_end = stop == index + 1 ? begin : stop - 1;
      attribute(name, index, begin, arguments_end, stop);
      index = stop;
    }
    position_ = end;
  }

  void pass_attribute(size_t begin, size_t end) {
    emit(tok::l_square, at(begin));
    emit(tok::l_square, at(begin));
    out_.insert(out_.end(), in_.begin() + static_cast<std::ptrdiff_t>(begin),
                in_.begin() + static_cast<std::ptrdiff_t>(end));
    emit(tok::r_square, at(begin));
    emit(tok::r_square, at(begin));
  }

  void attribute(const Token& name, size_t index, size_t begin, size_t end, size_t stop) {
    const llvm::StringRef spelling = name.getIdentifierInfo()->getName();
    const Attribute* found = find_attribute(spelling);
    if (!found) {
      if (is_standard_attribute(spelling)) {
        pass_attribute(index, stop);
        return;
      }
      const llvm::StringRef nearest = nearest_attribute(spelling);
      if (nearest.empty())
        error(name, "unknown attribute '%0'") << spelling;
      else
        error(name, "unknown attribute '%0'; did you mean '%1'?") << spelling << nearest;
      return;
    }
    unsigned count = begin == end ? 0 : 1;
    for (size_t i = begin; i < end; ++i) {
      if (at(i).isOneOf(tok::l_paren, tok::l_square, tok::l_brace))
        i = skip_brackets(i) - 1;
      else if (is(i, tok::comma))
        ++count;
    }
    if (count < found->min_arguments || count > found->max_arguments) {
      if (found->min_arguments == found->max_arguments)
        error(name, "'%0' attribute %plural{0:takes no arguments|1:takes one argument|"
                    ":requires exactly %1 arguments}1")
            << spelling << found->min_arguments;
      else
        error(name, "'%0' attribute takes between %1 and %2 arguments")
            << spelling << found->min_arguments << found->max_arguments;
      return;
    }
    const bool by_address = found->kind == AttributeKind::function_constant &&
                            !is(begin, tok::numeric_constant) && in_parameter();
    emit_annotation(spelling, name, begin, end, by_address);
  }

  // [[function_constant(name)]] on an argument names a constant; on the constant itself it has an
  // index. The nearest opening bracket tells which.
  bool in_parameter() const {
    int depth = 0;
    for (size_t index = position_; index > 0; --index) {
      const Token& token = at(index - 1);
      if (token.isOneOf(tok::r_paren, tok::r_brace, tok::r_square))
        ++depth;
      else if (token.isOneOf(tok::l_paren, tok::l_brace, tok::l_square)) {
        if (depth == 0)
          return token.is(tok::l_paren);
        --depth;
      } else if (token.is(tok::semi) && depth == 0)
        return false;
    }
    return false;
  }

  // Words of C++ that Metal does not have. Clang would let them pass here: it defers such errors to
  // the device code of SYCL, which there is none of.
  void unsupported(const Token& token) {
    switch (token.getKind()) {
    case tok::kw_double:
      error(token, "'double' is not supported in Metal");
      break;
    case tok::kw_throw:
    case tok::kw_try:
    case tok::kw_catch:
      error(token, "cannot use '%0' with exceptions disabled") << preprocessor_.getSpelling(token);
      break;
    case tok::kw_delete:
      if (position_ > 0 && is(position_ - 1, tok::equal)) // a deleted function
        break;
      [[fallthrough]];
    case tok::kw_new:
    case tok::kw_virtual:
    case tok::kw___int128:
    case tok::kw__Complex:
    case tok::kw_typeid:
    case tok::kw_dynamic_cast:
    case tok::kw_thread_local:
      error(token, "'%0' is not supported in Metal") << preprocessor_.getSpelling(token);
      break;
    default:
      break;
    }
  }

  // A string lies in constant memory, and `constant const char*` is what functions take it by.
  void string() {
    const Token& first = at(position_);
    size_t end = position_ + 1;
    while (is(end, tok::string_literal))
      ++end;
    const bool wrap = position_ > 0 && at(position_ - 1).isOneOf(tok::l_paren, tok::comma) &&
                      at(end).isOneOf(tok::comma, tok::r_paren) && in_call();
    if (wrap) {
      emit(tok::l_paren, first);
      emit(tok::l_paren, first);
      emit_keyword(tok::kw_const, first);
      emit_qualifier(opencl_private_, first);
      emit_keyword(tok::kw_char, first);
      emit(tok::star, first);
      emit(tok::r_paren, first);
    }
    while (position_ < end)
      out_.push_back(at(position_++));
    if (wrap)
      emit(tok::r_paren, first);
  }
  // Whether the innermost open parenthesis is that of a call (not of static_assert, asm, ...).
  bool in_call() const {
    int depth = 0;
    for (size_t index = position_; index > 1; --index) {
      const Token& token = at(index - 1);
      if (token.isOneOf(tok::r_paren, tok::r_brace, tok::r_square))
        ++depth;
      else if (token.isOneOf(tok::l_paren, tok::l_brace, tok::l_square) && depth-- == 0)
        return token.is(tok::l_paren) && at(index - 2).is(tok::identifier) &&
               !(index > 3 && at(index - 3).is(tok::l_paren) &&
                 at(index - 4).isOneOf(tok::l_paren, tok::kw___attribute));
    }
    return false;
  }

  void number() {
    const Token& token = at(position_++);
    llvm::SmallString<32> buffer;
    bool invalid = false;
    const llvm::StringRef text = preprocessor_.getSpelling(token, buffer, &invalid);
    const bool hexadecimal = text.starts_with_insensitive("0x");
    const bool is_floating =
        text.find_first_of(hexadecimal ? ".pP" : ".eE") != llvm::StringRef::npos;
    const bool is_bfloat = !hexadecimal && text.ends_with_insensitive("bf");
    const bool is_half = !hexadecimal && text.ends_with_insensitive("h");
    // 0.5 is a float. Clang's option for that is lost when a template is instantiated.
    const bool is_plain = is_floating && (llvm::isDigit(text.back()) || text.back() == '.');
    if (invalid || !(is_bfloat || is_half || is_plain)) {
      out_.push_back(token);
      return;
    }
    std::string digits = text.drop_back(is_bfloat ? 2 : is_half ? 1 : 0).str();
    if (!is_floating)
      digits += ".0"; // `1h` is a half as well
    Token literal;
    literal.startToken();
    literal.setKind(tok::numeric_constant);
    if (is_bfloat) {
      emit(tok::l_paren, token);
      emit(tok::l_paren, token);
      emit_keyword(tok::kw___bf16, token);
      emit(tok::r_paren, token);
    }
    preprocessor_.CreateString(digits + (is_half ? "f16" : "f"), literal, token.getLocation(),
                               token.getLocation());
    out_.push_back(literal);
    if (is_bfloat)
      emit(tok::r_paren, token);
  }

  clang::Preprocessor& preprocessor_;
  std::vector<Token> in_;
  std::vector<Token> out_;
  size_t position_ = 0;
  bool is_library_;
  llvm::DenseMap<const clang::IdentifierInfo*, unsigned> too_new_; // and since which version
  llvm::DenseSet<const clang::IdentifierInfo*> converted_types_;
  std::vector<size_t> close_before_;         // indices in front of which a parenthesis closes
  std::map<size_t, unsigned> object_spaces_; // of members, by the index of their first token
  llvm::DenseSet<size_t> ends_of_classes_;   // closing braces of classes with such members
  llvm::DenseSet<size_t> dropped_;           // trailing qualifiers
  llvm::DenseSet<size_t> arrays_;            // names of array parameters, by index
  clang::IdentifierInfo *device_, *threadgroup_, *constant_, *thread_, *kernel_;
  clang::IdentifierInfo *function_constant_, *annotate_;
  clang::IdentifierInfo *opencl_global_, *opencl_local_, *opencl_private_;
};

} // namespace

std::vector<clang::Token> rewrite_tokens(clang::Preprocessor& preprocessor,
                                         std::vector<clang::Token> tokens, bool is_library,
                                         unsigned language_version) {
  return Rewriter(preprocessor, std::move(tokens), is_library, language_version).run();
}

} // namespace metalwright::msl
