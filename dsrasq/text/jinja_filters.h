#pragma once

// The filters, in tables by what they work on.

#include <map>
#include <string_view>

#include "dsrasq/text/jinja_builtins.h"

namespace dsrasq::text::jinja {

using Filter = Value (*)(Runtime& runtime, const Value& input, const Arguments& arguments);
using FilterTable = std::map<std::string_view, Filter>;

const FilterTable& text_filters();
const FilterTable& number_filters();
const FilterTable& sequence_filters();

bool is_filter(std::string_view name);
bool is_test(std::string_view name);

}  // namespace dsrasq::text::jinja
