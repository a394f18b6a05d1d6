#pragma once

// What templates can call: filters, tests, methods and global functions.

#include <ctime>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dsrasq/text/jinja_value.h"

namespace dsrasq::text::jinja {

/// What they may use of the running template.
struct Runtime {
  Work work;
  std::tm now{};                                         ///< what strftime_now formats
  std::vector<std::shared_ptr<Namespace>> namespaces{};  ///< all that were made, see Interpreter
};

/// Assigns arguments to parameters as Python does; what was not passed is empty. Fails, naming the
/// parameter, when one of the first `n_required` is missing, or an argument is unknown or too many.
std::vector<std::optional<Value>> bind(const Arguments& arguments,
                                       std::initializer_list<std::string_view> parameters,
                                       size_t n_required = 0);

/// A bound argument as a C++ value, or `otherwise` when it was not passed (or is None). Fails,
/// naming the wanted type, at another type.
int64_t int_or(const std::optional<Value>& argument, int64_t otherwise);
bool bool_or(const std::optional<Value>& argument, bool otherwise);
std::optional<std::string> string_if(const std::optional<Value>& argument);

Value apply_filter(Runtime& runtime, const std::string& name, const Value& input,
                   const Arguments& arguments);
bool apply_test(Runtime& runtime, const std::string& name, const Value& value,
                const Arguments& arguments);

/// The method `name` of a string, dict, sequence or loop; undefined when there is none.
Value bound_method(const Value& object, const std::string& name);

/// `range`, `dict`, `namespace`, `raise_exception`, `strftime_now`.
std::vector<std::pair<std::string, Value>> global_functions();

/// `a op b` for + - * / // % **.
Value arithmetic(Work& work, std::string_view op, const Value& a, const Value& b);
/// `-a` or `+a`.
Value signed_value(std::string_view op, const Value& a);
/// `a op b` for == != < <= > >= in, not in.
bool compare(Work& work, std::string_view op, const Value& a, const Value& b);
/// `object.name`: an attribute or method, else the item.
Value get_attribute(Runtime& runtime, const Value& object, const std::string& name);
/// `object[key]`: the item, else (for a string key) the attribute.
Value get_item(Runtime& runtime, const Value& object, const Value& key);
/// `object[begin:end:step]`; a bound that is None is open.
Value get_slice(Work& work, const Value& object, const Value& begin, const Value& end,
                const Value& step);

/// JSON as Python's json.dumps writes it with ensure_ascii off; `indent` empty means one line.
struct JsonStyle {
  std::optional<std::string> indent;
  std::string between_items = ", ";
  std::string after_key = ": ";
  bool ensure_ascii = false;
  bool sort_keys = false;
};
std::string to_json(Work& work, const Value& value, const JsonStyle& style);

}  // namespace dsrasq::text::jinja
