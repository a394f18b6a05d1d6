#pragma once

// Values of the template language. They behave as the Python values that a chat template sees:
// truth, equality, order, and how they print. Values are immutable except namespaces and iterators.

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dsrasq/core/error.h"

namespace dsrasq::text::jinja {

/// Why a template stopped; the interpreter adds the line and throws it as `dsrasq::Error`.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Failure(concat(parts...));
}

/// What a render may still spend: about one unit a byte touched, so that a hostile template can
/// neither hang nor fill the memory.
class Work {
 public:
  static constexpr uint64_t kUnits = 1ull << 29;
  static constexpr size_t kMaxTextBytes = 64 << 20;
  static constexpr uint64_t kPerItem = 32;  ///< for an element of a container
  static constexpr uint64_t kPerStep = 16;  ///< for looking at one value

  void charge(uint64_t units) {
    if (units > left_) fail("the template needs too much work or memory");
    left_ -= units;
  }
  /// For adding `n_bytes` to a text.
  void charge_text(const std::string& text, size_t n_bytes) {
    if (text.size() + n_bytes > kMaxTextBytes) fail("a text is longer than 64 MiB");
    charge(n_bytes + kPerStep);
  }
  /// For looking through a text in a way that may take `part` long at each place.
  void charge_search(size_t text, size_t part) {
    constexpr uint64_t kBytesPerUnit = 32;  // that a search compares in the time of one unit
    charge(text < kUnits && part < kUnits ? text + text * part / kBytesPerUnit : kUnits + 1);
  }
  void charge_items(uint64_t n_items) { charge(n_items < kUnits ? n_items * kPerItem : kUnits); }

 private:
  uint64_t left_ = kUnits;
};

class Value;
struct Runtime;
struct Arguments;
struct Loop;

/// What stands where nothing was defined; `why` is the message for its forbidden uses.
struct Undefined {
  std::shared_ptr<const std::string> why;
};
struct None {};

/// What a sequence came from: it decides what can be done with it and how it prints.
enum class SequenceKind { kList, kTuple, kRange, kKeys, kValues, kItems, kIterator };
struct Sequence;
struct Dict;
struct Namespace;

struct Function {
  std::string name;
  std::function<Value(Runtime&, Arguments&)> call;
  int depth = 0;  ///< of the value that a method is bound to
};

enum class Kind {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kSequence,
  kDict,
  kNamespace,
  kFunction,
  kLoop
};

class Value {
 public:
  Value() : data_(Undefined{}) {}
  Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(None) : data_(None{}) {}
  explicit Value(bool value) : data_(value) {}
  explicit Value(int64_t value) : data_(value) {}
  explicit Value(double value) : data_(value) {}
  explicit Value(std::string text) : Value(std::make_shared<const std::string>(std::move(text))) {}
  explicit Value(std::string_view text) : Value(std::string(text)) {}
  explicit Value(const char* text) : Value(std::string(text)) {}
  explicit Value(std::shared_ptr<const std::string> text) : data_(std::move(text)) {}
  Value(std::shared_ptr<Sequence> sequence) : data_(std::move(sequence)) {}
  Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}
  Value(std::shared_ptr<Namespace> space) : data_(std::move(space)) {}
  Value(std::shared_ptr<const Function> function) : data_(std::move(function)) {}
  Value(std::shared_ptr<Loop> loop) : data_(std::move(loop)) {}

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is(Kind kind) const { return this->kind() == kind; }
  /// Python's idea of an int: bool is one.
  bool is_integral() const { return is(Kind::kInt) || is(Kind::kBool); }
  bool is_number() const { return is_integral() || is(Kind::kFloat); }
  bool is_sequence(SequenceKind kind) const;

  /// The payloads; asking for another kind than the value's is a bug. `as_int` also takes a bool,
  /// `as_float` any number.
  const std::string& as_string() const { return **std::get_if<kStringIndex>(&data_); }
  bool as_bool() const { return std::get<bool>(data_); }
  int64_t as_int() const;
  double as_float() const;
  Sequence& as_sequence() const { return *std::get<std::shared_ptr<Sequence>>(data_); }
  const Dict& as_dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  Namespace& as_namespace() const { return *std::get<std::shared_ptr<Namespace>>(data_); }
  const Function& as_function() const { return *std::get<std::shared_ptr<const Function>>(data_); }
  Loop& as_loop() const { return *std::get<std::shared_ptr<Loop>>(data_); }
  const std::shared_ptr<Loop>& loop_pointer() const {
    return std::get<std::shared_ptr<Loop>>(data_);
  }

  /// Why an undefined value is undefined.
  std::string why() const;
  /// How many containers lie inside one another; 0 for a scalar.
  int depth() const;
  /// Whether both are the same object.
  bool is_same(const Value& other) const;

 private:
  static constexpr size_t kStringIndex = 5;

  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<Sequence>, std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
               std::shared_ptr<const Function>, std::shared_ptr<Loop>>
      data_;
};

struct Sequence {
  SequenceKind kind = SequenceKind::kList;
  std::vector<Value> items;
  std::string label;    ///< how a range or an iterator prints
  size_t consumed = 0;  ///< items that an iterator has already given away
  int depth = 1;
};

struct Dict {
  std::vector<std::pair<Value, Value>> entries;  ///< in the order of insertion
  int depth = 1;
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};

/// The `loop` variable of one for statement. Items are drawn one by one, as Python does, because
/// the loop's filter may depend on what the body does.
struct Loop {
  std::vector<Value> items;          ///< drawn so far
  std::function<bool(Value&)> draw;  ///< the next item; false, for good, when there is none
  int64_t index0 = 0;
  Value last_changed;  ///< what `loop.changed` was called with
  bool was_asked_changed = false;

  /// Whether there is an item `index`, drawing up to it.
  bool has(int64_t index);
  int64_t length();
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keyword;
};

/// Containers of the items, which fail when nested deeper than any real template needs.
Value make_sequence(SequenceKind kind, std::vector<Value> items, std::string label = {});
Value make_list(std::vector<Value> items);
Value make_iterator(std::vector<Value> items);
Value make_dict(Dict dict);
Value make_undefined(std::string why);

/// Sets `key`, in place when it is there already. Fails when the key is a list or a dict.
void insert(Work& work, Dict& dict, const Value& key, Value value);
const Value* find(Work& work, const Dict& dict, const Value& key);

/// `bool(value)`.
bool is_true(const Value& value);
/// `a == b`.
bool equals(Work& work, const Value& a, const Value& b);
/// `a < b`; fails when Python cannot order the two.
bool is_less(Work& work, const Value& a, const Value& b);
/// `item in container`.
bool contains(Work& work, const Value& container, const Value& item);
/// What a for statement goes through: items, keys, characters. An iterator is used up.
std::vector<Value> iterate(Work& work, const Value& value);
bool is_iterable(const Value& value);
/// `len(value)`; fails when it has none.
int64_t length_of(Work& work, const Value& value);

/// `str(value)` and `repr(value)`.
std::string to_text(Work& work, const Value& value);
std::string to_repr(Work& work, const Value& value);
/// Python's shortest form that reads back as the same number: "1.0", "1e-05".
std::string float_text(double value);
/// Python's name of the type, for messages: "str", "dict".
std::string_view type_name(const Value& value);

}  // namespace dsrasq::text::jinja
