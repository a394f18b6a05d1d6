#include "cli/fields.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::cli {
namespace {

template <class T>
bool parse_number(const std::string& text, T& out) {
  const char* end = text.data() + text.size();
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return false;
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) return false;
  }
  out = value;
  return true;
}

bool parse(const std::string& text, bool& out) {
  for (const char* yes : {"true", "1", "yes", "on"})
    if (text == yes) return out = true;
  for (const char* no : {"false", "0", "no", "off"})
    if (text == no) return out = false, true;
  return false;
}
bool parse(const std::string& text, int& out) { return parse_number(text, out); }
bool parse(const std::string& text, int64_t& out) { return parse_number(text, out); }
bool parse(const std::string& text, uint64_t& out) { return parse_number(text, out); }
bool parse(const std::string& text, float& out) { return parse_number(text, out); }
bool parse(const std::string& text, double& out) { return parse_number(text, out); }
bool parse(const std::string& text, std::string& out) { return out = text, true; }
bool parse(const std::string& text, std::filesystem::path& out) { return out = text, true; }
bool parse(const std::string& text, ByteSize& out) { return out = parse_byte_size(text), true; }

std::vector<std::string> split_at_commas(const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const std::string& text : texts) {
    for (size_t at = 0; at <= text.size();) {
      const size_t comma = std::min(text.find(',', at), text.size());
      parts.push_back(text.substr(at, comma - at));
      at = comma + 1;
    }
  }
  return parts;
}

template <class T>
constexpr bool kIsList = false;
template <class T>
constexpr bool kIsList<std::vector<T>> = true;

template <class T>
const char* wanted() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, uint64_t>) return "a whole number of at least 0";
  if constexpr (std::is_integral_v<T>) return "a whole number";
  if constexpr (std::is_floating_point_v<T>) return "a number";
  return "a text";
}

template <class T>
nlohmann::ordered_json to_json(const T& value) {
  return value;
}
nlohmann::ordered_json to_json(const std::filesystem::path& value) { return value.string(); }
nlohmann::ordered_json to_json(const ByteSize& value) { return value.bytes; }
// A float is shown as it was typed, not as its nearest double.
nlohmann::ordered_json to_json(const float& value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  double shortest = value;
  std::from_chars(digits, end, shortest);
  return shortest;
}

}  // namespace

ByteSize parse_byte_size(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  std::string unit(stop, end);
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (unit.ends_with("ib")) unit.resize(unit.size() - 2);
  if (unit.ends_with('b')) unit.pop_back();
  const size_t power = std::string_view(" kmgt").find(unit.empty() ? " " : unit);
  DSRASQ_CHECK(error == std::errc() && unit.size() <= 1 && power <= 4 && number >= 0,
               kInvalidArgument, "cli.options", '"', text,
               "\" is not a size; write bytes as 512M, 2GiB or 268435456");
  const double bytes = std::ldexp(number, 10 * static_cast<int>(power));
  DSRASQ_CHECK(bytes < 0x1p63, kInvalidArgument, "cli.options", '"', text,
               "\" is more bytes than any machine has");
  return {static_cast<uint64_t>(bytes)};
}

std::string format_bytes(uint64_t bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  char text[48];
  const int decimals = unit < 3 ? 0 : 2;
  std::snprintf(text, sizeof text, "%.*f %s", decimals, value, units[unit]);
  return text;
}

bool Field::is_list() const {
  return std::visit([](auto* at) { return kIsList<std::decay_t<decltype(*at)>>; }, value);
}

std::string Field::key() const {
  std::string out = name;
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string Field::type_name() const {
  struct Names {
    std::string operator()(bool*) const { return ""; }
    std::string operator()(int*) const { return "INT"; }
    std::string operator()(int64_t*) const { return "INT"; }
    std::string operator()(uint64_t*) const { return "INT"; }
    std::string operator()(float*) const { return "NUMBER"; }
    std::string operator()(double*) const { return "NUMBER"; }
    std::string operator()(std::string*) const { return "TEXT"; }
    std::string operator()(std::filesystem::path*) const { return "FILE"; }
    std::string operator()(ByteSize*) const { return "SIZE"; }
    std::string operator()(std::vector<std::string>*) const { return "TEXT"; }
    std::string operator()(std::vector<int64_t>*) const { return "INT,INT"; }
    std::string operator()(std::vector<double>*) const { return "NUMBER,NUMBER"; }
  };
  return std::visit(Names{}, value);
}

std::string Field::text() const {
  const nlohmann::ordered_json whole = json();
  const auto one = [](const nlohmann::ordered_json& v) {
    return v.is_string() ? v.get<std::string>() : v.dump();
  };
  if (!whole.is_array()) return one(whole);
  std::string out;
  for (const auto& item : whole) out += (out.empty() ? "" : ",") + one(item);
  return out;
}

void Field::set(const std::vector<std::string>& texts) const {
  const auto refuse = [this](const std::string& text, const char* want) {
    throw Error(ErrorCode::kInvalidArgument, "cli.options",
                concat(shown(), " is \"", text, "\", want ", want));
  };
  std::visit(
      [&]<class T>(T* at) {
        if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          *at = texts;
        } else if constexpr (kIsList<T>) {
          T values;
          for (const std::string& text : split_at_commas(texts)) {
            values.emplace_back();
            if (!parse_number(text, values.back())) refuse(text, wanted<typename T::value_type>());
          }
          *at = std::move(values);
        } else if (texts.size() != 1 || !parse(texts.front(), *at)) {
          refuse(texts.empty() ? "" : texts.back(), wanted<T>());
        }
      },
      value);
}

nlohmann::ordered_json Field::json() const {
  return std::visit([](const auto* at) { return to_json(*at); }, value);
}

const Field* FieldList::find(const std::string& key) const {
  for (const Field& field : fields_)
    if (field.key() == key) return &field;
  return nullptr;
}

nlohmann::ordered_json FieldList::json() const {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (const Field& field : fields_) out[field.key()] = field.json();
  return out;
}

void FieldList::write_beside(const std::string& path) const {
  // Names of files need not be UTF-8.
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;
  write_file(path + ".config.json", json().dump(2, ' ', false, replace) + "\n");
}

}  // namespace dsrasq::cli
