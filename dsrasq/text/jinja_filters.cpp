// Filters that make text or numbers of their input.

#include "dsrasq/text/jinja_filters.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "dsrasq/text/jinja_strings.h"

namespace dsrasq::text::jinja {
namespace {

constexpr int64_t kMaxIndent = 1000;

std::string spaces(int64_t count) {
  if (count > kMaxIndent) fail("an indentation of ", count, " is too wide");
  return std::string(static_cast<size_t>(std::max<int64_t>(count, 0)), ' ');
}

// An indentation given as a text or as a number of spaces.
std::string indentation(const Value& value) {
  return value.is(Kind::kString) ? value.as_string() : spaces(int_or(value, 0));
}

template <Case kCase>
Value case_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(arguments, {});
  const std::string text = to_text(runtime.work, input);
  runtime.work.charge(2 * text.size());
  return Value(kCase == Case::kTitle ? title_words(text) : change_case(text, kCase));
}

Value trim_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto chars = string_if(bind(arguments, {"chars"})[0]);
  const std::string text = to_text(runtime.work, input);
  runtime.work.charge_search(text.size(), chars.value_or("").size());
  return Value(strip(text, chars, true, true));
}

Value string_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  bind(arguments, {});
  return Value(to_text(runtime.work, input));
}

Value replace_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"old", "new", "count"}, 2);
  Work& work = runtime.work;
  return Value(replace(work, to_text(work, input), to_text(work, *bound[0]),
                       to_text(work, *bound[1]), int_or(bound[2], -1)));
}

Value indent_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"width", "first", "blank"});
  if (!input.is(Kind::kString)) fail("wants a string, not ", type_name(input));
  const std::string margin = bound[0] ? indentation(*bound[0]) : spaces(4);
  const std::string text = input.as_string() + "\n";
  runtime.work.charge(text.size());
  std::string out;
  bool is_first = true;
  for (const std::string_view line : split_lines(text, false)) {
    const bool is_indented =
        is_first ? bool_or(bound[1], false) : bool_or(bound[2], false) || !line.empty();
    runtime.work.charge_text(out, line.size() + margin.size() + 1);
    if (!is_first) out += '\n';
    if (is_indented) out += margin;
    out += line;
    is_first = false;
  }
  return Value(std::move(out));
}

Value tojson_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bool_or(bound[0], false);
  style.sort_keys = bool_or(bound[3], false);
  if (bound[1] && !bound[1]->is(Kind::kNone)) {
    style.indent = indentation(*bound[1]);
    style.between_items = std::string(1, ',');  // a literal trips -Wrestrict of g++ 12
  }
  if (bound[2] && !bound[2]->is(Kind::kNone)) {
    const auto parts = iterate(runtime.work, *bound[2]);
    if (parts.size() != 2) fail("wants two separators, not ", parts.size());
    style.between_items = string_if(parts[0]).value_or("");
    style.after_key = string_if(parts[1]).value_or("");
  }
  return Value(to_json(runtime.work, input, style));
}

// Python's int(text, base): white space around, a sign, underscores between digits.
std::optional<int64_t> parse_int(std::string_view text, int base) {
  text = strip(text, std::nullopt, true, true);
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  const std::string_view prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
  if (!prefix.empty() && text.starts_with(prefix)) text.remove_prefix(2);
  std::string digits(text);
  if (digits.empty() || digits.front() == '_' || digits.back() == '_' || digits.front() == '-' ||
      digits.find("__") != std::string::npos) {
    return std::nullopt;
  }
  std::erase(digits, '_');
  if (is_negative) digits.insert(0, 1, '-');
  int64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, code] = std::from_chars(digits.data(), end, value, base);
  if (code == std::errc::result_out_of_range) fail("an integer does not fit 64 bits");
  if (code != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::optional<double> parse_float(std::string_view text) {
  text = strip(text, std::nullopt, true, true);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, value);
  if (text.find('(') != std::string_view::npos || rest != end) return std::nullopt;
  if (code == std::errc::invalid_argument) return std::nullopt;
  return value;
}

int64_t truncated(double value) {
  if (!(std::fabs(value) < 9.2e18)) fail("a float does not fit an integer of 64 bits");
  return static_cast<int64_t>(value);
}

void check_defined(const Value& input) {
  if (input.is(Kind::kUndefined)) fail(input.why());
}

Value int_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"default", "base"});
  const Value otherwise = bound[0].value_or(Value(int64_t{0}));
  check_defined(input);
  if (input.is_integral()) return Value(input.as_int());
  if (input.is(Kind::kFloat)) {
    return std::isnan(input.as_float()) ? otherwise : Value(truncated(input.as_float()));
  }
  if (!input.is(Kind::kString)) return otherwise;
  runtime.work.charge(input.as_string().size());
  const int64_t base = int_or(bound[1], 10);
  if (base < 2 || base > 36) fail("base ", base, " is not supported");
  if (const auto value = parse_int(input.as_string(), static_cast<int>(base))) return Value(*value);
  const auto value = parse_float(input.as_string());
  return value && std::isfinite(*value) ? Value(truncated(*value)) : otherwise;
}

Value float_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"default"});
  const Value otherwise = bound[0].value_or(Value(0.0));
  check_defined(input);
  if (input.is_number()) return Value(input.as_float());
  if (!input.is(Kind::kString)) return otherwise;
  runtime.work.charge(input.as_string().size());
  const auto value = parse_float(input.as_string());
  return value ? Value(*value) : otherwise;
}

Value abs_filter(Runtime&, const Value& input, const Arguments& arguments) {
  bind(arguments, {});
  check_defined(input);
  if (input.is(Kind::kFloat)) return Value(std::fabs(input.as_float()));
  if (!input.is_integral()) fail("wants a number, not ", type_name(input));
  return input.as_int() < 0 ? signed_value("-", input) : Value(input.as_int());
}

// Rounds the number as it is in binary, of two equally near ones to the even: printf does.
double round_to(double value, int64_t precision) {
  char digits[400];
  std::snprintf(digits, sizeof digits, "%.*f", static_cast<int>(precision), value);
  return std::strtod(digits, nullptr);
}

Value round_filter(Runtime&, const Value& input, const Arguments& arguments) {
  const auto bound = bind(arguments, {"precision", "method"});
  const int64_t precision = int_or(bound[0], 0);
  const std::string method = string_if(bound[1]).value_or("common");
  check_defined(input);
  if (!input.is_number()) fail("wants a number, not ", type_name(input));
  if (precision < 0 || precision > 50) fail("a precision of ", precision, " is not supported");
  if (method == "common") {
    if (input.is_integral()) return Value(input.as_int());
    if (!std::isfinite(input.as_float())) return input;
    return Value(round_to(input.as_float(), precision));
  }
  if (method != "ceil" && method != "floor") fail("wants 'common', 'ceil' or 'floor' as method");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = input.as_float() * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

// Nothing is escaped here, so every text is safe already.
Value safe_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
  return string_filter(runtime, input, arguments);
}

}  // namespace

const FilterTable& text_filters() {
  static const FilterTable table = {{"upper", case_filter<Case::kUpper>},
                                    {"lower", case_filter<Case::kLower>},
                                    {"title", case_filter<Case::kTitle>},
                                    {"capitalize", case_filter<Case::kCapitalize>},
                                    {"trim", trim_filter},
                                    {"string", string_filter},
                                    {"safe", safe_filter},
                                    {"replace", replace_filter},
                                    {"indent", indent_filter},
                                    {"tojson", tojson_filter}};
  return table;
}

const FilterTable& number_filters() {
  static const FilterTable table = {
      {"int", int_filter}, {"float", float_filter}, {"abs", abs_filter}, {"round", round_filter}};
  return table;
}

}  // namespace dsrasq::text::jinja
