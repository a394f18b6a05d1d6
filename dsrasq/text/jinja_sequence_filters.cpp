// Filters that work on sequences, dicts, or any value.

#include <algorithm>
#include <charconv>

#include "dsrasq/text/jinja_filters.h"
#include "dsrasq/text/jinja_strings.h"

namespace dsrasq::text::jinja {
namespace {

// "a.0.b": attributes and positions, followed one after another.
Value follow_path(Runtime& runtime, Value item, const Value& path, const Value* otherwise) {
  std::vector<Value> parts = {path};
  if (path.is(Kind::kString)) {
    parts.clear();
    for (const std::string_view part : split(path.as_string(), ".", -1, false)) {
      int64_t index = 0;
      const char* end = part.data() + part.size();
      const bool is_index = all_characters(part, CharTest::kDigit) &&
                            std::from_chars(part.data(), end, index).ec == std::errc();
      parts.push_back(is_index ? Value(index) : Value(part));
    }
  }
  for (const Value& part : parts) {
    item = get_item(runtime, item, part);
    if (otherwise != nullptr && item.is(Kind::kUndefined)) item = *otherwise;
  }
  return item;
}

// What to compare items by: themselves or an attribute, letters in lower case unless `exact`.
Value sort_key(Runtime& runtime, const Value& item, const std::optional<Value>& attribute,
               bool exact) {
  const bool has_path = attribute && !attribute->is(Kind::kNone);
  Value key = has_path ? follow_path(runtime, item, *attribute, nullptr) : item;
  if (exact || !key.is(Kind::kString)) return key;
  runtime.work.charge(key.as_string().size());
  return Value(change_case(key.as_string(), Case::kLower));
}

std::vector<Value> sorted(Runtime& runtime, std::vector<std::pair<Value, Value>> keyed,
                          bool reverse) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return reverse ? is_less(runtime.work, b.first, a.first)
                   : is_less(runtime.work, a.first, b.first);
  });
  std::vector<Value> items;
  for (auto& entry : keyed) items.push_back(std::move(entry.second));
  return items;
}

Value sort_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"reverse", "case_sensitive", "attribute"});
  const bool exact = bool_or(bound[1], false);
  std::vector<std::optional<Value>> attributes = {bound[2]};
  if (bound[2] && bound[2]->is(Kind::kString)) {
    attributes.clear();
    for (const auto part : split(bound[2]->as_string(), ",", -1, false)) {
      attributes.emplace_back(Value(part));
    }
  }
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : iterate(runtime.work, input)) {
    std::vector<Value> keys;
    for (const auto& attribute : attributes) {
      keys.push_back(sort_key(runtime, item, attribute, exact));
    }
    keyed.emplace_back(make_list(std::move(keys)), item);
  }
  return make_list(sorted(runtime, std::move(keyed), bool_or(bound[0], false)));
}

Value dictsort_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"case_sensitive", "by", "reverse"});
  if (!input.is(Kind::kDict)) fail("wants a dict, not ", type_name(input));
  const std::string by = string_if(bound[1]).value_or("key");
  if (by != "key" && by != "value") fail("sorts by 'key' or 'value', not '", by, "'");
  std::vector<std::pair<Value, Value>> keyed;
  runtime.work.charge_items(2 * input.as_dict().entries.size());
  for (const auto& [key, value] : input.as_dict().entries) {
    keyed.emplace_back(
        sort_key(runtime, by == "key" ? key : value, std::nullopt, bool_or(bound[0], false)),
        make_sequence(SequenceKind::kTuple, {key, value}));
  }
  return make_list(sorted(runtime, std::move(keyed), bool_or(bound[2], false)));
}

Value unique_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"case_sensitive", "attribute"});
  Dict seen;
  std::vector<Value> items;
  for (const Value& item : iterate(runtime.work, input)) {
    const Value key = sort_key(runtime, item, bound[1], bool_or(bound[0], false));
    const size_t n_before = seen.entries.size();
    insert(runtime.work, seen, key, None{});
    if (seen.entries.size() > n_before) items.push_back(item);
  }
  return make_iterator(std::move(items));
}

template <bool kMax>
Value extreme_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"case_sensitive", "attribute"});
  const bool exact = bool_or(bound[0], false);
  std::optional<Value> best, best_key;
  for (const Value& item : iterate(runtime.work, input)) {
    const Value key = sort_key(runtime, item, bound[1], exact);
    const bool is_better = !best || (kMax ? is_less(runtime.work, *best_key, key)
                                          : is_less(runtime.work, key, *best_key));
    if (!is_better) continue;
    best = item;
    best_key = key;
  }
  return best.value_or(make_undefined("No aggregated item, sequence was empty."));
}

Value sum_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"attribute", "start"});
  Value total = bound[1].value_or(Value(int64_t{0}));
  for (const Value& item : iterate(runtime.work, input)) {
    const bool has_path = bound[0] && !bound[0]->is(Kind::kNone);
    total = arithmetic(runtime.work, "+", total,
                       has_path ? follow_path(runtime, item, *bound[0], nullptr) : item);
  }
  return total;
}

Value join_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"d", "attribute"});
  const std::string between = bound[0] ? to_text(runtime.work, *bound[0]) : "";
  std::string out;
  bool is_first = true;
  for (const Value& item : iterate(runtime.work, input)) {
    if (!is_first) {
      runtime.work.charge(between.size());
      out += between;
    }
    out += to_text(runtime.work, bound[1] ? follow_path(runtime, item, *bound[1], nullptr) : item);
    is_first = false;
  }
  return Value(std::move(out));
}

Value first_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(arguments, {});
  if (input.is_sequence(SequenceKind::kIterator)) {
    Sequence& sequence = input.as_sequence();
    if (sequence.consumed < sequence.items.size()) return sequence.items[sequence.consumed++];
  } else if (const auto items = iterate(runtime.work, input); !items.empty()) {
    return items.front();
  }
  return make_undefined("No first item, sequence was empty.");
}

Value last_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(arguments, {});
  if (input.is_sequence(SequenceKind::kIterator)) fail("'generator' object is not reversible");
  const auto items = iterate(runtime.work, input);
  return items.empty() ? make_undefined("No last item, sequence was empty.") : items.back();
}

Value length_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(arguments, {});
  return Value(length_of(runtime.work, input));
}

Value list_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(arguments, {});
  return make_list(iterate(runtime.work, input));
}

Value items_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(arguments, {});
  if (input.is(Kind::kUndefined)) return make_iterator({});
  if (!input.is(Kind::kDict)) fail("wants a dict, not ", type_name(input));
  Arguments none;
  const Value items = bound_method(input, "items").as_function().call(runtime, none);
  return make_iterator(iterate(runtime.work, items));
}

Value reverse_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(arguments, {});
  std::vector<Value> items = iterate(runtime.work, input);
  std::reverse(items.begin(), items.end());
  if (!input.is(Kind::kString)) return make_iterator(std::move(items));
  std::string text;
  for (const Value& item : items) text += item.as_string();
  return Value(std::move(text));
}

Value default_filter(Runtime&, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"default_value", "boolean"});
  const bool is_replaced =
      input.is(Kind::kUndefined) || (bool_or(bound[1], false) && !is_true(input));
  return is_replaced ? bound[0].value_or(Value("")) : input;
}

Value attr_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto name = string_if(bind(arguments, {"name"}, 1)[0]).value_or("");
  return input.is(Kind::kDict) ? bound_method(input, name) : get_attribute(runtime, input, name);
}

// Takes the first positional argument off, which names a filter, a test or an attribute.
Value take_first(Arguments& arguments, std::string_view what) {
  if (arguments.positional.empty()) fail("is missing ", what);
  Value first = std::move(arguments.positional.front());
  arguments.positional.erase(arguments.positional.begin());
  return first;
}

Value map_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  std::vector<Value> out;
  if (!is_true(input)) return make_iterator({});
  Arguments rest = arguments;
  if (!rest.positional.empty()) {
    const std::string name = string_if(take_first(rest, "a filter")).value_or("");
    for (const Value& item : iterate(runtime.work, input)) {
      out.push_back(apply_filter(runtime, name, item, rest));
    }
    return make_iterator(std::move(out));
  }
  const auto bound = bind(arguments, {"attribute", "default"}, 1);
  const bool has_default = bound[1] && !bound[1]->is(Kind::kNone);
  for (const Value& item : iterate(runtime.work, input)) {
    out.push_back(follow_path(runtime, item, *bound[0], has_default ? &*bound[1] : nullptr));
  }
  return make_iterator(std::move(out));
}

template <bool kSelect, bool kByAttribute>
Value select_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  if (!is_true(input)) return make_iterator({});
  Arguments rest = arguments;
  const Value attribute = kByAttribute ? take_first(rest, "an attribute") : Value(None{});
  std::string test;
  if (!rest.positional.empty()) test = string_if(take_first(rest, "a test")).value_or("");
  std::vector<Value> out;
  for (const Value& item : iterate(runtime.work, input)) {
    const Value subject = kByAttribute ? follow_path(runtime, item, attribute, nullptr) : item;
    const bool holds = test.empty() ? is_true(subject) : apply_test(runtime, test, subject, rest);
    if (holds == kSelect) out.push_back(item);
  }
  return make_iterator(std::move(out));
}

}  // namespace

const FilterTable& sequence_filters() {
  static const FilterTable table = {{"sort", sort_filter},
                                    {"dictsort", dictsort_filter},
                                    {"unique", unique_filter},
                                    {"min", extreme_filter<false>},
                                    {"max", extreme_filter<true>},
                                    {"sum", sum_filter},
                                    {"join", join_filter},
                                    {"first", first_filter},
                                    {"last", last_filter},
                                    {"length", length_filter},
                                    {"count", length_filter},
                                    {"list", list_filter},
                                    {"items", items_filter},
                                    {"reverse", reverse_filter},
                                    {"default", default_filter},
                                    {"d", default_filter},
                                    {"attr", attr_filter},
                                    {"map", map_filter},
                                    {"select", select_filter<true, false>},
                                    {"reject", select_filter<false, false>},
                                    {"selectattr", select_filter<true, true>},
                                    {"rejectattr", select_filter<false, true>}};
  return table;
}

bool is_filter(std::string_view name) {
  return text_filters().contains(name) || number_filters().contains(name) ||
         sequence_filters().contains(name);
}

Value apply_filter(Runtime& runtime, const std::string& name, const Value& input,
                   const Arguments& arguments) {
  runtime.work.charge(Work::kPerItem);
  for (const FilterTable* table : {&text_filters(), &number_filters(), &sequence_filters()}) {
    const auto found = table->find(name);
    if (found != table->end()) return found->second(runtime, input, arguments);
  }
  fail("there is no filter named '", name, "'");
}

}  // namespace dsrasq::text::jinja
