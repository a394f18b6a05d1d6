// How calls pass their arguments to built-in functions.

#include <algorithm>

#include "dsrasq/text/jinja_builtins.h"

namespace dsrasq::text::jinja {

std::vector<std::optional<Value>> bind(const Arguments& arguments,
                                       std::initializer_list<std::string_view> parameters,
                                       size_t n_required) {
  if (arguments.positional.size() > parameters.size()) {
    fail("takes at most ", parameters.size(), " arguments, not ", arguments.positional.size());
  }
  std::vector<std::optional<Value>> bound(parameters.size());
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.begin());
  for (const auto& [name, value] : arguments.keyword) {
    const auto at = std::find(parameters.begin(), parameters.end(), name);
    if (at == parameters.end()) fail("has no parameter '", name, "'");
    auto& slot = bound[static_cast<size_t>(at - parameters.begin())];
    if (slot) fail("got two values for '", name, "'");
    slot = value;
  }
  for (size_t i = 0; i < n_required; ++i) {
    if (!bound[i]) fail("is missing its argument '", *(parameters.begin() + i), "'");
  }
  return bound;
}

int64_t int_or(const std::optional<Value>& argument, int64_t otherwise) {
  if (!argument || argument->is(Kind::kNone)) return otherwise;
  if (argument->is(Kind::kUndefined)) fail(argument->why());
  if (!argument->is_integral()) fail("wants an integer, not ", type_name(*argument));
  return argument->as_int();
}

bool bool_or(const std::optional<Value>& argument, bool otherwise) {
  return argument ? is_true(*argument) : otherwise;
}

std::optional<std::string> string_if(const std::optional<Value>& argument) {
  if (!argument || argument->is(Kind::kNone)) return std::nullopt;
  if (!argument->is(Kind::kString)) fail("wants a string, not ", type_name(*argument));
  return argument->as_string();
}

}  // namespace dsrasq::text::jinja
