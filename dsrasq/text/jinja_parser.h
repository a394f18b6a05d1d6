#pragma once

// Tokens to a tree.

#include <string_view>

#include "dsrasq/text/jinja_ast.h"

namespace dsrasq::text::jinja {

/// The tree of a template. Throws `dsrasq::Error` (kBadInput) naming the line and what was wrong,
/// also when it is nested deeper than any real template.
Block parse(std::string_view source);

}  // namespace dsrasq::text::jinja
