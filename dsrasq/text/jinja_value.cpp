#include "dsrasq/text/jinja_value.h"

#include <algorithm>

#include "dsrasq/text/jinja_strings.h"

namespace dsrasq::text::jinja {
namespace {

constexpr int kMaxDepth = 100;

int deepest(int depth, const Value& value) {
  if (value.is(Kind::kLoop)) fail("a loop variable cannot be put into a list or dict");
  return std::max(depth, value.depth() + 1);
}

void check_depth(int depth) {
  if (depth > kMaxDepth) fail("values are nested more than ", kMaxDepth, " deep");
}

// An int and a double compare as exact numbers, which a conversion to double would not do.
int order(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) {
    return a.as_int() < b.as_int() ? -1 : a.as_int() > b.as_int();
  }
  const auto exact = [](const Value& v) {
    return v.is_integral() ? static_cast<long double>(v.as_int())
                           : static_cast<long double>(v.as_float());
  };
  return exact(a) < exact(b) ? -1 : exact(a) > exact(b);
}

bool is_nan(const Value& v) { return v.is(Kind::kFloat) && v.as_float() != v.as_float(); }

bool equal_dicts(Work& work, const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
    const Value* other = find(work, b, entry.first);
    return other != nullptr && equals(work, entry.second, *other);
  });
}

bool equal_sequences(Work& work, const Sequence& a, const Sequence& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!equals(work, a.items[i], b.items[i])) return false;
  }
  return true;
}

bool is_hashable(const Value& value) {
  if (value.is_sequence(SequenceKind::kTuple)) {
    const auto& items = value.as_sequence().items;
    return std::all_of(items.begin(), items.end(), is_hashable);
  }
  return !value.is(Kind::kDict) && !value.is_sequence(SequenceKind::kList);
}

}  // namespace

bool Value::is_sequence(SequenceKind kind) const {
  return is(Kind::kSequence) && as_sequence().kind == kind;
}

int64_t Value::as_int() const {
  return is(Kind::kBool) ? static_cast<int64_t>(as_bool()) : std::get<int64_t>(data_);
}

double Value::as_float() const {
  return is(Kind::kFloat) ? std::get<double>(data_) : static_cast<double>(as_int());
}

std::string Value::why() const {
  const auto& why = std::get<Undefined>(data_).why;
  return why ? *why : "the value is undefined";
}

int Value::depth() const {
  if (is(Kind::kSequence)) return as_sequence().depth;
  if (is(Kind::kDict)) return as_dict().depth;
  if (is(Kind::kFunction)) return as_function().depth;
  return is(Kind::kLoop) ? kMaxDepth : 0;  // a loop may hold anything, so nothing may hold it
}

bool Value::is_same(const Value& other) const {
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case Kind::kBool: return as_bool() == other.as_bool();
    case Kind::kInt: return as_int() == other.as_int();
    case Kind::kFloat: return as_float() == other.as_float();
    case Kind::kString: return as_string() == other.as_string();
    case Kind::kSequence: return &as_sequence() == &other.as_sequence();
    case Kind::kDict: return &as_dict() == &other.as_dict();
    case Kind::kNamespace: return &as_namespace() == &other.as_namespace();
    case Kind::kFunction: return &as_function() == &other.as_function();
    case Kind::kLoop: return &as_loop() == &other.as_loop();
    case Kind::kUndefined:
    case Kind::kNone: break;
  }
  return true;
}

bool Loop::has(int64_t index) {
  while (index >= static_cast<int64_t>(items.size())) {
    Value item;
    if (!draw(item)) return false;
    items.push_back(std::move(item));
  }
  return true;
}

int64_t Loop::length() {
  while (has(static_cast<int64_t>(items.size()))) {
  }
  return static_cast<int64_t>(items.size());
}

Value make_sequence(SequenceKind kind, std::vector<Value> items, std::string label) {
  auto sequence = std::make_shared<Sequence>();
  for (const Value& item : items) sequence->depth = deepest(sequence->depth, item);
  check_depth(sequence->depth);
  sequence->kind = kind;
  sequence->items = std::move(items);
  sequence->label = std::move(label);
  return sequence;
}

Value make_list(std::vector<Value> items) {
  return make_sequence(SequenceKind::kList, std::move(items));
}

Value make_iterator(std::vector<Value> items) {
  return make_sequence(SequenceKind::kIterator, std::move(items), "<iterator>");
}

Value make_dict(Dict dict) {
  for (const auto& [key, value] : dict.entries) {
    dict.depth = std::max(deepest(dict.depth, value), deepest(dict.depth, key));
  }
  check_depth(dict.depth);
  return std::make_shared<const Dict>(std::move(dict));
}

Value make_undefined(std::string why) {
  return Undefined{std::make_shared<const std::string>(std::move(why))};
}

const Value* find(Work& work, const Dict& dict, const Value& key) {
  for (const auto& entry : dict.entries) {
    if (equals(work, entry.first, key)) return &entry.second;
  }
  return nullptr;
}

void insert(Work& work, Dict& dict, const Value& key, Value value) {
  if (!is_hashable(key)) fail("unhashable type: '", type_name(key), "'");
  for (auto& entry : dict.entries) {
    if (equals(work, entry.first, key)) {
      entry.second = std::move(value);
      return;
    }
  }
  work.charge_items(1);
  dict.entries.emplace_back(key, std::move(value));
}

bool is_true(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone: return false;
    case Kind::kBool: return value.as_bool();
    case Kind::kInt: return value.as_int() != 0;
    case Kind::kFloat: return value.as_float() != 0;
    case Kind::kString: return !value.as_string().empty();
    case Kind::kSequence:
      return value.is_sequence(SequenceKind::kIterator) || !value.as_sequence().items.empty();
    case Kind::kDict: return !value.as_dict().entries.empty();
    case Kind::kNamespace:
    case Kind::kFunction:
    case Kind::kLoop: break;
  }
  return true;
}

bool equals(Work& work, const Value& a, const Value& b) {
  work.charge(Work::kPerStep);
  if (a.is_number() && b.is_number()) return !is_nan(a) && !is_nan(b) && order(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kString:
      work.charge(std::min(a.as_string().size(), b.as_string().size()));
      return a.as_string() == b.as_string();
    case Kind::kSequence:
      return a.is_same(b) || equal_sequences(work, a.as_sequence(), b.as_sequence());
    case Kind::kDict: return a.is_same(b) || equal_dicts(work, a.as_dict(), b.as_dict());
    default: return a.is_same(b);
  }
}

bool is_less(Work& work, const Value& a, const Value& b) {
  work.charge(Work::kPerStep);
  if (a.is_number() && b.is_number()) return !is_nan(a) && !is_nan(b) && order(a, b) < 0;
  if (a.is(Kind::kString) && b.is(Kind::kString)) {
    work.charge(std::min(a.as_string().size(), b.as_string().size()));
    return a.as_string() < b.as_string();  // UTF-8 keeps the order of the code points
  }
  for (const Value& value : {a, b}) {
    if (value.is(Kind::kUndefined)) fail(value.why());
  }
  const bool are_rows = a.is(Kind::kSequence) && b.is(Kind::kSequence) &&
                        a.as_sequence().kind == b.as_sequence().kind &&
                        (a.is_sequence(SequenceKind::kList) || a.is_sequence(SequenceKind::kTuple));
  if (!are_rows) {
    fail("'", type_name(a), "' and '", type_name(b), "' have no order");
  }
  const auto &left = a.as_sequence().items, &right = b.as_sequence().items;
  for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (!equals(work, left[i], right[i])) return is_less(work, left[i], right[i]);
  }
  return left.size() < right.size();
}

bool contains(Work& work, const Value& container, const Value& item) {
  if (container.is(Kind::kString)) {
    if (!item.is(Kind::kString)) {
      fail("'in' a string wants a string, not ", type_name(item));
    }
    work.charge(container.as_string().size() + item.as_string().size());
    return find_text(container.as_string(), item.as_string(), 0) != std::string::npos;
  }
  if (container.is(Kind::kDict)) {
    if (!is_hashable(item)) fail("unhashable type: '", type_name(item), "'");
    return find(work, container.as_dict(), item) != nullptr;
  }
  for (const Value& other : iterate(work, container)) {
    if (equals(work, other, item)) return true;
  }
  return false;
}

bool is_iterable(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kSequence:
    case Kind::kDict: return true;
    default: return false;
  }
}

std::vector<Value> iterate(Work& work, const Value& value) {
  std::vector<Value> items;
  switch (value.kind()) {
    case Kind::kUndefined: break;
    case Kind::kString:
      for (const std::string_view c : characters(work, value.as_string())) items.emplace_back(c);
      break;
    case Kind::kDict:
      work.charge_items(value.as_dict().entries.size());
      for (const auto& entry : value.as_dict().entries) items.push_back(entry.first);
      break;
    case Kind::kSequence: {
      Sequence& sequence = value.as_sequence();
      work.charge_items(sequence.items.size() - sequence.consumed);
      items.assign(sequence.items.begin() + static_cast<ptrdiff_t>(sequence.consumed),
                   sequence.items.end());
      if (sequence.kind == SequenceKind::kIterator) sequence.consumed = sequence.items.size();
      break;
    }
    default: fail("'", type_name(value), "' object is not iterable");
  }
  return items;
}

int64_t length_of(Work& work, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return 0;
    case Kind::kString: return n_characters(work, value.as_string());
    case Kind::kDict: return static_cast<int64_t>(value.as_dict().entries.size());
    case Kind::kLoop: return value.as_loop().length();
    case Kind::kSequence:
      if (value.is_sequence(SequenceKind::kIterator)) break;
      return static_cast<int64_t>(value.as_sequence().items.size());
    default: break;
  }
  fail("object of type '", type_name(value), "' has no len()");
}

}  // namespace dsrasq::text::jinja
