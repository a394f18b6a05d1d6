// Operators, attributes, items and slices, as Python defines them.

#include <algorithm>
#include <cmath>

#include "dsrasq/text/jinja_builtins.h"
#include "dsrasq/text/jinja_strings.h"

namespace dsrasq::text::jinja {
namespace {

[[noreturn]] void fail_types(std::string_view op, const Value& a, const Value& b) {
  for (const Value& value : {a, b}) {
    if (value.is(Kind::kUndefined)) fail(value.why());
  }
  fail("unsupported operand types for ", op, ": '", type_name(a), "' and '", type_name(b), "'");
}

void check_overflow(bool has_overflowed) {
  if (has_overflowed) fail("an integer does not fit 64 bits");
}

// Python rounds towards minus infinity, and the remainder has the divisor's sign.
int64_t floor_divide(int64_t a, int64_t b) {
  if (b == -1) {
    int64_t negated = 0;
    check_overflow(__builtin_sub_overflow(0, a, &negated));
    return negated;
  }
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

double float_remainder(double a, double b) {
  const double remainder = std::fmod(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

int64_t int_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if (exponent % 2 == 1) check_overflow(__builtin_mul_overflow(result, base, &result));
    exponent /= 2;
    if (exponent > 0) check_overflow(__builtin_mul_overflow(base, base, &base));
  }
  return result;
}

Value int_arithmetic(std::string_view op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool has_overflowed = false;
  if (op == "+") {
    has_overflowed = __builtin_add_overflow(a, b, &result);
  } else if (op == "-") {
    has_overflowed = __builtin_sub_overflow(a, b, &result);
  } else if (op == "*") {
    has_overflowed = __builtin_mul_overflow(a, b, &result);
  } else if (op == "**") {
    if (b < 0) return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
    return Value(int_power(a, b));
  } else {
    if (b == 0) fail("division by zero");
    if (op == "/") return Value(static_cast<double>(a) / static_cast<double>(b));
    if (op == "//") return Value(floor_divide(a, b));
    return Value(b == -1 ? int64_t{0} : a - floor_divide(a, b) * b);
  }
  check_overflow(has_overflowed);
  return Value(result);
}

Value float_arithmetic(std::string_view op, double a, double b) {
  if (op == "+") return Value(a + b);
  if (op == "-") return Value(a - b);
  if (op == "*") return Value(a * b);
  if (op == "**") return Value(std::pow(a, b));
  if (b == 0) fail("division by zero");
  if (op == "/") return Value(a / b);
  if (op == "//") return Value(std::floor(a / b));
  return Value(float_remainder(a, b));
}

Value repeat(Work& work, const Value& value, int64_t count) {
  count = std::max<int64_t>(count, 0);
  const size_t size =
      value.is(Kind::kString) ? value.as_string().size() : value.as_sequence().items.size();
  if (size > 0 && static_cast<uint64_t>(count) > Work::kUnits / size)
    fail("the result is too large");
  const size_t n_times = size == 0 ? 0 : static_cast<size_t>(count);
  if (value.is(Kind::kString)) {
    std::string text;
    work.charge_text(text, size * n_times);
    for (size_t i = 0; i < n_times; ++i) text += value.as_string();
    return Value(std::move(text));
  }
  work.charge_items(size * n_times);
  const Sequence& sequence = value.as_sequence();
  std::vector<Value> items;
  for (size_t i = 0; i < n_times; ++i) {
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return make_sequence(sequence.kind, std::move(items));
}

bool is_row(const Value& value) {
  return value.is_sequence(SequenceKind::kList) || value.is_sequence(SequenceKind::kTuple);
}

Value join(Work& work, const Value& a, const Value& b) {
  if (a.is(Kind::kString)) {
    work.charge_text(a.as_string(), b.as_string().size());
    work.charge(a.as_string().size());
    return Value(a.as_string() + b.as_string());
  }
  std::vector<Value> items = iterate(work, a);
  for (Value& item : iterate(work, b)) items.push_back(std::move(item));
  return make_sequence(a.as_sequence().kind, std::move(items));
}

std::string label_of(const Value& object) {
  if (object.is(Kind::kNone)) return "None";
  return concat('\'', type_name(object), " object'");
}

// Names of Python methods that change their object, which the sandbox forbids.
bool is_forbidden(const Value& object, const std::string& name) {
  constexpr std::string_view kOfLists[] = {"append", "clear", "pop",    "reverse",
                                           "insert", "sort",  "extend", "remove"};
  constexpr std::string_view kOfDicts[] = {"clear", "pop", "popitem", "setdefault", "update"};
  const auto holds = [&](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  return (object.is_sequence(SequenceKind::kList) && holds(kOfLists)) ||
         (object.is(Kind::kDict) && holds(kOfDicts));
}

Value loop_attribute(Loop& loop, const std::string& name) {
  if (name == "index") return Value(loop.index0 + 1);
  if (name == "index0") return Value(loop.index0);
  if (name == "first") return Value(loop.index0 == 0);
  if (name == "last") return Value(!loop.has(loop.index0 + 1));
  if (name == "length") return Value(loop.length());
  if (name == "revindex") return Value(loop.length() - loop.index0);
  if (name == "revindex0") return Value(loop.length() - loop.index0 - 1);
  if (name == "depth") return Value(int64_t{1});
  if (name == "depth0") return Value(int64_t{0});
  if (name == "previtem") {
    return loop.index0 == 0 ? make_undefined("there is no previous item")
                            : loop.items[static_cast<size_t>(loop.index0 - 1)];
  }
  if (name == "nextitem") {
    return loop.has(loop.index0 + 1) ? loop.items[static_cast<size_t>(loop.index0 + 1)]
                                     : make_undefined("there is no next item");
  }
  return {};
}

// The attribute in Python's sense, or empty.
std::optional<Value> find_attribute(const Value& object, const std::string& name) {
  if (object.is(Kind::kNamespace)) {
    for (const auto& [key, value] : object.as_namespace().attributes) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
  if (is_forbidden(object, name)) {
    return make_undefined(
        concat("access to attribute '", name, "' of '", type_name(object), "' object is unsafe"));
  }
  if (object.is(Kind::kLoop)) {
    Value value = loop_attribute(object.as_loop(), name);
    if (!value.is(Kind::kUndefined) || name == "previtem" || name == "nextitem") return value;
  }
  Value method = bound_method(object, name);
  if (method.is(Kind::kUndefined)) return std::nullopt;
  return method;
}

// A position counted from the end when negative; empty when out of range.
std::optional<size_t> position(int64_t index, size_t size) {
  if (index < 0) index += static_cast<int64_t>(size);
  if (index < 0 || index >= static_cast<int64_t>(size)) return std::nullopt;
  return static_cast<size_t>(index);
}

std::optional<Value> find_item(Work& work, const Value& object, const Value& key) {
  if (object.is(Kind::kDict)) {
    const Value* found = find(work, object.as_dict(), key);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  const bool is_indexed = is_row(object) || object.is_sequence(SequenceKind::kRange);
  if (is_indexed && key.is_integral()) {
    const auto& items = object.as_sequence().items;
    const auto at = position(key.as_int(), items.size());
    return at ? std::optional(items[*at]) : std::nullopt;
  }
  if (object.is(Kind::kString) && key.is_integral()) {
    const std::string& text = object.as_string();
    const auto at = position(key.as_int(), static_cast<size_t>(n_characters(work, text)));
    return at ? std::optional(Value(substring(text, *at, *at + 1))) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Value arithmetic(Work& work, std::string_view op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return int_arithmetic(op, a.as_int(), b.as_int());
    return float_arithmetic(op, a.as_float(), b.as_float());
  }
  const auto can_repeat = [](const Value& v) { return v.is(Kind::kString) || is_row(v); };
  if (op == "*" && can_repeat(a) && b.is_integral()) return repeat(work, a, b.as_int());
  if (op == "*" && can_repeat(b) && a.is_integral()) return repeat(work, b, a.as_int());
  const bool are_strings = a.is(Kind::kString) && b.is(Kind::kString);
  const bool are_rows = is_row(a) && is_row(b) && a.as_sequence().kind == b.as_sequence().kind;
  if (op == "+" && (are_strings || are_rows)) return join(work, a, b);
  if (op == "%" && a.is(Kind::kString)) fail("formatting a string with % is not supported");
  fail_types(op, a, b);
}

Value signed_value(std::string_view op, const Value& a) {
  if (!a.is_number()) {
    if (a.is(Kind::kUndefined)) fail(a.why());
    fail("bad operand type for unary ", op, ": '", type_name(a), "'");
  }
  if (a.is(Kind::kFloat)) return Value(op == "-" ? -a.as_float() : a.as_float());
  return op == "-" ? int_arithmetic("-", 0, a.as_int()) : Value(a.as_int());
}

bool compare(Work& work, std::string_view op, const Value& a, const Value& b) {
  if (op == "==") return equals(work, a, b);
  if (op == "!=") return !equals(work, a, b);
  if (op == "in") return contains(work, b, a);
  if (op == "not in") return !contains(work, b, a);
  if (op == "<") return is_less(work, a, b);
  if (op == ">") return is_less(work, b, a);
  const bool is_less_or_equal = op == "<=" ? is_less(work, a, b) : is_less(work, b, a);
  return is_less_or_equal || equals(work, a, b);
}

Value get_attribute(Runtime& runtime, const Value& object, const std::string& name) {
  if (object.is(Kind::kUndefined)) fail(object.why());
  if (auto found = find_attribute(object, name)) return *found;
  if (auto found = find_item(runtime.work, object, Value(name))) return *found;
  return make_undefined(concat(label_of(object), " has no attribute '", name, "'"));
}

Value get_item(Runtime& runtime, const Value& object, const Value& key) {
  if (object.is(Kind::kUndefined)) fail(object.why());
  if (auto found = find_item(runtime.work, object, key)) return *found;
  if (key.is(Kind::kString)) {
    if (auto found = find_attribute(object, key.as_string())) return *found;
    return make_undefined(concat(label_of(object), " has no attribute '", key.as_string(), "'"));
  }
  return make_undefined(concat(label_of(object), " has no element ", to_repr(runtime.work, key)));
}

Value get_slice(Work& work, const Value& object, const Value& begin, const Value& end,
                const Value& step_value) {
  if (object.is(Kind::kUndefined)) fail(object.why());
  const bool is_text = object.is(Kind::kString);
  if (!is_text && !is_row(object) && !object.is_sequence(SequenceKind::kRange)) {
    fail("'", type_name(object), "' object is not subscriptable");
  }
  for (const Value& bound : {begin, end, step_value}) {
    if (!bound.is(Kind::kNone) && !bound.is_integral()) {
      fail("slice indices must be integers, not ", type_name(bound));
    }
  }
  const int64_t step = step_value.is(Kind::kNone) ? 1 : step_value.as_int();
  if (step == 0) fail("slice step cannot be zero");
  const int64_t size = length_of(work, object);
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  const auto clamped = [&](const Value& bound, int64_t otherwise) {
    if (bound.is(Kind::kNone)) return otherwise;
    const int64_t at = bound.as_int();
    return std::clamp(at < 0 ? at + size : at, low, high);
  };
  const int64_t first = clamped(begin, step > 0 ? low : high);
  const int64_t last = clamped(end, step > 0 ? high : low);
  if (is_text && step == 1) {
    work.charge(object.as_string().size());
    return Value(substring(object.as_string(), static_cast<size_t>(first),
                           static_cast<size_t>(std::max(first, last))));
  }
  const std::vector<Value> items = iterate(work, object);
  std::vector<Value> kept;
  std::string text;
  for (int64_t at = first; step > 0 ? at < last : at > last;) {
    const Value& item = items[static_cast<size_t>(at)];
    if (is_text) {
      text += item.as_string();
    } else {
      kept.push_back(item);
    }
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  if (is_text) return Value(std::move(text));
  return make_sequence(is_row(object) ? object.as_sequence().kind : SequenceKind::kList,
                       std::move(kept));
}

}  // namespace dsrasq::text::jinja
