// Functions that every template can call.

#include <algorithm>

#include "dsrasq/text/jinja_builtins.h"

namespace dsrasq::text::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // the sandbox's limit
constexpr size_t kMaxNamespaces = 10'000;
constexpr size_t kMaxFormatBytes = 1000;

Value range_function(Runtime& runtime, Arguments& arguments) {
  const auto bound = bind(arguments, {"start", "stop", "step"}, 1);
  for (const auto& part : bound) {
    if (part && !part->is_integral()) fail("wants integers, not ", type_name(*part));
  }
  const int64_t begin = bound[1] ? bound[0]->as_int() : 0;
  const int64_t end = bound[1] ? bound[1]->as_int() : bound[0]->as_int();
  const int64_t step = int_or(bound[2], 1);
  if (step == 0) fail("a step must not be zero");
  std::vector<Value> items;
  for (int64_t at = begin; step > 0 ? at < end : at > end;) {
    if (static_cast<int64_t>(items.size()) == kMaxRange)
      fail("has more than ", kMaxRange, " items");
    runtime.work.charge_items(1);
    items.emplace_back(at);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  const std::string third = bound[2] && step != 1 ? concat(", ", step) : "";
  return make_sequence(SequenceKind::kRange, std::move(items),
                       concat("range(", begin, ", ", end, third, ")"));
}

// dict(mapping or pairs, name=value, ...).
Dict make_entries(Runtime& runtime, const Arguments& arguments) {
  Dict dict;
  if (arguments.positional.size() > 1) fail("takes at most one positional argument");
  for (const Value& source : arguments.positional) {
    if (source.is(Kind::kDict)) {
      runtime.work.charge_items(source.as_dict().entries.size());
      dict.entries = source.as_dict().entries;
      continue;
    }
    for (const Value& pair : iterate(runtime.work, source)) {
      const auto parts = iterate(runtime.work, pair);
      if (parts.size() != 2) fail("wants pairs of a key and a value");
      insert(runtime.work, dict, parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : arguments.keyword) {
    insert(runtime.work, dict, Value(name), value);
  }
  return dict;
}

Value dict_function(Runtime& runtime, Arguments& arguments) {
  return make_dict(make_entries(runtime, arguments));
}

Value namespace_function(Runtime& runtime, Arguments& arguments) {
  auto space = std::make_shared<Namespace>();
  for (auto& [key, value] : make_entries(runtime, arguments).entries) {
    if (!key.is(Kind::kString)) fail("wants strings as names, not ", type_name(key));
    if (key.as_string().starts_with('_')) fail("cannot hold '", key.as_string(), "'");
    space->attributes.emplace_back(key.as_string(), std::move(value));
  }
  if (runtime.namespaces.size() == kMaxNamespaces)
    fail("was called more than ", kMaxNamespaces, " times");
  runtime.namespaces.push_back(space);
  return space;
}

Value raise_function(Runtime& runtime, Arguments& arguments) {
  fail(to_text(runtime.work, *bind(arguments, {"message"}, 1)[0]));
}

Value strftime_function(Runtime& runtime, Arguments& arguments) {
  const std::string format = string_if(bind(arguments, {"format"}, 1)[0]).value_or("");
  if (format.size() > kMaxFormatBytes) fail("a format of ", format.size(), " bytes is too long");
  runtime.work.charge(kMaxFormatBytes);
  // One more character tells an empty result from one that did not fit.
  std::string out(64 * kMaxFormatBytes, '\0');
  const size_t size = std::strftime(out.data(), out.size(), (format + '.').c_str(), &runtime.now);
  if (size == 0) fail("the date does not fit");
  out.resize(size - 1);
  return Value(std::move(out));
}

Value function(std::string name, Value (*call)(Runtime&, Arguments&)) {
  return std::make_shared<const Function>(Function{.name = std::move(name), .call = call});
}

}  // namespace

std::vector<std::pair<std::string, Value>> global_functions() {
  return {{"range", function("range", range_function)},
          {"dict", function("dict", dict_function)},
          {"namespace", function("namespace", namespace_function)},
          {"raise_exception", function("raise_exception", raise_function)},
          {"strftime_now", function("strftime_now", strftime_function)}};
}

}  // namespace dsrasq::text::jinja
