#pragma once

// JSON values as values of the template language.

#include <nlohmann/json_fwd.hpp>

#include "dsrasq/text/jinja_value.h"

namespace dsrasq::text::jinja {

/// Keeps the order of keys. Fails at an integer beyond 64 bits and at too deep nesting.
Value from_json(const nlohmann::ordered_json& json);

}  // namespace dsrasq::text::jinja
