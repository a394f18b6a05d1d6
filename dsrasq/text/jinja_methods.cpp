// Methods of strings, dicts, sequences and loops.

#include <algorithm>
#include <map>

#include "dsrasq/text/jinja_builtins.h"
#include "dsrasq/text/jinja_strings.h"

namespace dsrasq::text::jinja {
namespace {

using Method = Value (*)(Runtime& runtime, const Value& self, const Arguments& arguments);
using MethodTable = std::map<std::string_view, Method>;

Value make_strings(Work& work, SequenceKind kind, const std::vector<std::string_view>& parts) {
  work.charge_items(parts.size());
  return make_sequence(kind, std::vector<Value>(parts.begin(), parts.end()));
}

template <bool kLeft, bool kRight>
Value strip_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto chars = string_if(bind(arguments, {"chars"})[0]);
  runtime.work.charge_search(self.as_string().size(), chars.value_or("").size());
  return Value(strip(self.as_string(), chars, kLeft, kRight));
}

template <bool kFromRight>
Value split_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(arguments, {"sep", "maxsplit"});
  const auto separator = string_if(bound[0]);
  runtime.work.charge_search(self.as_string().size(), separator.value_or("").size());
  return make_strings(runtime.work, SequenceKind::kList,
                      split(self.as_string(), separator, int_or(bound[1], -1), kFromRight));
}

Value splitlines_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(arguments, {"keepends"});
  runtime.work.charge(self.as_string().size());
  return make_strings(runtime.work, SequenceKind::kList,
                      split_lines(self.as_string(), bool_or(bound[0], false)));
}

template <bool kFromRight>
Value partition_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto separator = string_if(bind(arguments, {"sep"}, 1)[0]);
  runtime.work.charge_search(self.as_string().size(), separator.value_or("").size());
  const auto parts = split(self.as_string(), separator.value_or(""), 1, kFromRight);
  const bool is_found = parts.size() == 2;
  const std::string_view whole = parts[0];
  return make_strings(runtime.work, SequenceKind::kTuple,
                      is_found     ? std::vector<std::string_view>{parts[0], *separator, parts[1]}
                      : kFromRight ? std::vector<std::string_view>{"", "", whole}
                                   : std::vector<std::string_view>{whole, "", ""});
}

// startswith and endswith: the argument is a string or a tuple of them.
template <bool kAtEnd>
Value affix_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Value affix = *bind(arguments, {kAtEnd ? "suffix" : "prefix"}, 1)[0];
  const auto fits = [&](const Value& part) {
    const std::string text = string_if(part).value_or("");
    runtime.work.charge(text.size());
    return kAtEnd ? self.as_string().ends_with(text) : self.as_string().starts_with(text);
  };
  if (!affix.is_sequence(SequenceKind::kTuple)) return Value(fits(affix));
  const auto& parts = affix.as_sequence().items;
  return Value(std::any_of(parts.begin(), parts.end(), fits));
}

template <bool kAtEnd>
Value remove_affix_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto affix = *string_if(bind(arguments, {kAtEnd ? "suffix" : "prefix"}, 1)[0]);
  std::string_view text = self.as_string();
  runtime.work.charge(text.size());
  if (kAtEnd && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!kAtEnd && text.starts_with(affix)) text.remove_prefix(affix.size());
  return Value(text);
}

template <Case kCase>
Value case_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  bind(arguments, {});
  runtime.work.charge(2 * self.as_string().size());
  return Value(change_case(self.as_string(), kCase));
}

template <CharTest kTest>
Value char_test_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  bind(arguments, {});
  runtime.work.charge(self.as_string().size());
  return Value(all_characters(self.as_string(), kTest));
}

Value replace_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(arguments, {"old", "new", "count"}, 2);
  const auto old = string_if(bound[0]), by = string_if(bound[1]);
  if (!old || !by) fail("wants two strings");
  return Value(replace(runtime.work, self.as_string(), *old, *by, int_or(bound[2], -1)));
}

template <bool kFromRight>
Value find_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto part = string_if(bind(arguments, {"sub"}, 1)[0]).value_or("");
  const std::string& text = self.as_string();
  runtime.work.charge_search(text.size(), kFromRight ? part.size() : 0);
  const size_t at = kFromRight ? text.rfind(part) : find_text(text, part, 0);
  if (at == std::string::npos) return Value(int64_t{-1});
  return Value(n_characters(runtime.work, std::string_view(text).substr(0, at)));
}

Value count_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Value part = *bind(arguments, {"value"}, 1)[0];
  if (!self.is(Kind::kString)) {
    const auto items = iterate(runtime.work, self);
    return Value(
        static_cast<int64_t>(std::count_if(items.begin(), items.end(), [&](const Value& item) {
          return equals(runtime.work, item, part);
        })));
  }
  const std::string& text = self.as_string();
  const std::string wanted = string_if(part).value_or("");
  if (wanted.empty()) return Value(n_characters(runtime.work, text) + 1);
  runtime.work.charge(text.size());
  int64_t n = 0;
  for (size_t at = 0; (at = find_text(text, wanted, at)) != std::string::npos; ++n) {
    at += wanted.size();
  }
  return Value(n);
}

Value index_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Value wanted = *bind(arguments, {"value"}, 1)[0];
  const auto items = iterate(runtime.work, self);
  for (size_t i = 0; i < items.size(); ++i) {
    if (equals(runtime.work, items[i], wanted)) return Value(static_cast<int64_t>(i));
  }
  fail(to_repr(runtime.work, wanted), " is not in the ", type_name(self));
}

Value join_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  std::string out;
  bool is_first = true;
  for (const Value& item : iterate(runtime.work, *bind(arguments, {"iterable"}, 1)[0])) {
    if (!item.is(Kind::kString)) fail("wants strings to join, not ", type_name(item));
    runtime.work.charge_text(out, self.as_string().size() + item.as_string().size());
    if (!is_first) out += self.as_string();
    out += item.as_string();
    is_first = false;
  }
  return Value(std::move(out));
}

const MethodTable& string_methods() {
  static const MethodTable table = {
      {"strip", strip_method<true, true>},
      {"lstrip", strip_method<true, false>},
      {"rstrip", strip_method<false, true>},
      {"split", split_method<false>},
      {"rsplit", split_method<true>},
      {"splitlines", splitlines_method},
      {"partition", partition_method<false>},
      {"rpartition", partition_method<true>},
      {"startswith", affix_method<false>},
      {"endswith", affix_method<true>},
      {"removeprefix", remove_affix_method<false>},
      {"removesuffix", remove_affix_method<true>},
      {"upper", case_method<Case::kUpper>},
      {"lower", case_method<Case::kLower>},
      {"title", case_method<Case::kTitle>},
      {"capitalize", case_method<Case::kCapitalize>},
      {"replace", replace_method},
      {"find", find_method<false>},
      {"rfind", find_method<true>},
      {"count", count_method},
      {"join", join_method},
      {"isalpha", char_test_method<CharTest::kAlpha>},
      {"isdigit", char_test_method<CharTest::kDigit>},
      {"isalnum", char_test_method<CharTest::kAlnum>},
      {"isspace", char_test_method<CharTest::kSpace>},
      {"isupper", char_test_method<CharTest::kUpper>},
      {"islower", char_test_method<CharTest::kLower>},
  };
  return table;
}

Value items_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  bind(arguments, {});
  std::vector<Value> pairs;
  runtime.work.charge_items(2 * self.as_dict().entries.size());
  for (const auto& [key, value] : self.as_dict().entries) {
    pairs.push_back(make_sequence(SequenceKind::kTuple, {key, value}));
  }
  return make_sequence(SequenceKind::kItems, std::move(pairs));
}

Value keys_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  bind(arguments, {});
  return make_sequence(SequenceKind::kKeys, iterate(runtime.work, self));
}

Value values_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  bind(arguments, {});
  std::vector<Value> values;
  runtime.work.charge_items(self.as_dict().entries.size());
  for (const auto& entry : self.as_dict().entries) values.push_back(entry.second);
  return make_sequence(SequenceKind::kValues, std::move(values));
}

Value get_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const auto bound = bind(arguments, {"key", "default"}, 1);
  const Value* found = find(runtime.work, self.as_dict(), *bound[0]);
  return found != nullptr ? *found : bound[1].value_or(None{});
}

// Values do not change, so a copy is the value itself.
Value copy_method(Runtime&, const Value& self, const Arguments& arguments) {
  bind(arguments, {});
  return self;
}

const MethodTable& dict_methods() {
  static const MethodTable table = {{"items", items_method},
                                    {"keys", keys_method},
                                    {"values", values_method},
                                    {"get", get_method},
                                    {"copy", copy_method}};
  return table;
}

const MethodTable& row_methods() {
  static const MethodTable table = {
      {"count", count_method}, {"index", index_method}, {"copy", copy_method}};
  return table;
}

Value cycle_method(Runtime&, const Value& self, const Arguments& arguments) {
  if (arguments.positional.empty()) fail("wants at least one item");
  const auto n_items = static_cast<int64_t>(arguments.positional.size());
  return arguments.positional[static_cast<size_t>(self.as_loop().index0 % n_items)];
}

Value changed_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  Loop& loop = self.as_loop();
  Value now = make_sequence(SequenceKind::kTuple, arguments.positional);
  if (loop.was_asked_changed && equals(runtime.work, now, loop.last_changed)) return Value(false);
  loop.last_changed = std::move(now);
  loop.was_asked_changed = true;
  return Value(true);
}

const MethodTable& loop_methods() {
  static const MethodTable table = {{"cycle", cycle_method}, {"changed", changed_method}};
  return table;
}

const MethodTable* methods_of(const Value& object) {
  if (object.is(Kind::kString)) return &string_methods();
  if (object.is(Kind::kDict)) return &dict_methods();
  if (object.is(Kind::kLoop)) return &loop_methods();
  const bool is_row =
      object.is_sequence(SequenceKind::kList) || object.is_sequence(SequenceKind::kTuple);
  return is_row ? &row_methods() : nullptr;
}

}  // namespace

Value bound_method(const Value& object, const std::string& name) {
  const MethodTable* table = methods_of(object);
  if (table == nullptr) return {};
  const auto found = table->find(name);
  if (found == table->end()) return {};
  auto function = std::make_shared<Function>();
  function->name = name;
  function->depth = object.depth();
  function->call = [object, method = found->second](Runtime& runtime, Arguments& arguments) {
    return method(runtime, object, arguments);
  };
  return std::shared_ptr<const Function>(std::move(function));
}

}  // namespace dsrasq::text::jinja
