// The tests behind `is`.

#include <map>

#include "dsrasq/text/jinja_filters.h"
#include "dsrasq/text/jinja_strings.h"

namespace dsrasq::text::jinja {
namespace {

using Test = bool (*)(Runtime& runtime, const Value& value, const Value& other);

struct Entry {
  Test test;
  size_t n_arguments = 0;
};

template <Kind kKind>
bool is_kind(Runtime&, const Value& value, const Value&) {
  return value.is(kKind);
}

template <bool kWanted>
bool is_bool(Runtime&, const Value& value, const Value&) {
  return value.is(Kind::kBool) && value.as_bool() == kWanted;
}

template <int64_t kRemainder>
bool has_parity(Runtime& runtime, const Value& value, const Value&) {
  const Value remainder = arithmetic(runtime.work, "%", value, Value(int64_t{2}));
  return equals(runtime.work, remainder, Value(kRemainder));
}

bool is_divisible(Runtime& runtime, const Value& value, const Value& by) {
  return equals(runtime.work, arithmetic(runtime.work, "%", value, by), Value(int64_t{0}));
}

// What has a length and can be indexed.
bool is_indexable(Runtime&, const Value& value, const Value&) {
  const bool is_row = value.is_sequence(SequenceKind::kList) ||
                      value.is_sequence(SequenceKind::kTuple) ||
                      value.is_sequence(SequenceKind::kRange);
  return is_row || value.is(Kind::kString) || value.is(Kind::kDict) || value.is(Kind::kUndefined);
}

// Jinja2's undefined has a __call__, even though it fails.
bool is_callable(Runtime&, const Value& value, const Value&) {
  return value.is(Kind::kFunction) || value.is(Kind::kLoop) || value.is(Kind::kUndefined);
}

template <CharTest kTest>
bool has_case(Runtime& runtime, const Value& value, const Value&) {
  return all_characters(to_text(runtime.work, value), kTest);
}

// A comparison by its operator.
template <char kFirst, char kSecond = '\0'>
bool compares(Runtime& runtime, const Value& value, const Value& other) {
  const char op[] = {kFirst, kSecond};
  return compare(runtime.work, std::string_view(op, kSecond == '\0' ? 1 : 2), value, other);
}

using Table = std::map<std::string_view, Entry>;

const Table& kind_tests() {
  static const Table table = {
      {"defined", {[](Runtime&, const Value& v, const Value&) { return !v.is(Kind::kUndefined); }}},
      {"undefined", {is_kind<Kind::kUndefined>}},
      {"none", {is_kind<Kind::kNone>}},
      {"boolean", {is_kind<Kind::kBool>}},
      {"true", {is_bool<true>}},
      {"false", {is_bool<false>}},
      {"integer", {is_kind<Kind::kInt>}},
      {"float", {is_kind<Kind::kFloat>}},
      {"number", {[](Runtime&, const Value& v, const Value&) { return v.is_number(); }}},
      {"string", {is_kind<Kind::kString>}},
      {"mapping", {is_kind<Kind::kDict>}},
      {"sequence", {is_indexable}},
      {"iterable", {[](Runtime&, const Value& v, const Value&) { return is_iterable(v); }}},
      {"callable", {is_callable}},
      {"escaped", {[](Runtime&, const Value&, const Value&) { return false; }}},
      {"lower", {has_case<CharTest::kLower>}},
      {"upper", {has_case<CharTest::kUpper>}},
      {"odd", {has_parity<1>}},
      {"even", {has_parity<0>}},
      {"filter",
       {[](Runtime& r, const Value& v, const Value&) { return is_filter(to_text(r.work, v)); }}},
      {"test",
       {[](Runtime& r, const Value& v, const Value&) { return is_test(to_text(r.work, v)); }}},
  };
  return table;
}

const Table& comparison_tests() {
  static const Table table = {
      {"divisibleby", {is_divisible, 1}},
      {"sameas",
       {[](Runtime&, const Value& v, const Value& other) { return v.is_same(other); }, 1}},
      {"in", {compares<'i', 'n'>, 1}},
      {"==", {compares<'=', '='>, 1}},
      {"eq", {compares<'=', '='>, 1}},
      {"equalto", {compares<'=', '='>, 1}},
      {"!=", {compares<'!', '='>, 1}},
      {"ne", {compares<'!', '='>, 1}},
      {"<", {compares<'<'>, 1}},
      {"lt", {compares<'<'>, 1}},
      {"lessthan", {compares<'<'>, 1}},
      {"<=", {compares<'<', '='>, 1}},
      {"le", {compares<'<', '='>, 1}},
      {">", {compares<'>'>, 1}},
      {"gt", {compares<'>'>, 1}},
      {"greaterthan", {compares<'>'>, 1}},
      {">=", {compares<'>', '='>, 1}},
      {"ge", {compares<'>', '='>, 1}},
  };
  return table;
}

}  // namespace

bool is_test(std::string_view name) {
  return kind_tests().contains(name) || comparison_tests().contains(name);
}

bool apply_test(Runtime& runtime, const std::string& name, const Value& value,
                const Arguments& arguments) {
  runtime.work.charge(Work::kPerItem);
  for (const Table* table : {&kind_tests(), &comparison_tests()}) {
    const auto found = table->find(name);
    if (found == table->end()) continue;
    const size_t n_wanted = found->second.n_arguments;
    if (arguments.positional.size() != n_wanted || !arguments.keyword.empty()) {
      fail("takes ", n_wanted, " arguments");
    }
    return found->second.test(runtime, value, n_wanted == 0 ? Value() : arguments.positional[0]);
  }
  fail("there is no test named '", name, "'");
}

}  // namespace dsrasq::text::jinja
