#include "cli/console.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "dsrasq/core/log.h"

namespace dsrasq::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string shown(const Json& value) {
  if (value.is_null()) return "none";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number_float()) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  char digits[32];  // people need fewer than programs
  std::snprintf(digits, sizeof digits, "%.6g", value.get<double>());
  return digits;
}

}  // namespace

ErrorMessage split_message(std::string_view what) {
  const size_t end = what.find("] ");
  if (!what.starts_with('[') || end == std::string_view::npos) return {"", std::string(what)};
  return {std::string(what.substr(1, end - 1)), std::string(what.substr(end + 2))};
}

void Console::result(std::string_view text) const {
  if (!json_) std::cout << text << std::flush;
}

void Console::result_lines(const Json& result) const {
  if (json_) return;
  for (const auto& [name, value] : result.items()) {
    if (name == "config") continue;
    if (value.is_array() && !value.empty() && value.front().is_object()) {
      std::cout << name << ":\n";
      for (const Json& row : value) {
        std::cout << " ";
        for (const auto& [key, cell] : row.items()) std::cout << ' ' << key << '=' << shown(cell);
        std::cout << '\n';
      }
    } else if (value.is_object()) {
      std::cout << name << ":\n";
      for (const auto& [key, member] : value.items())
        std::cout << "  " << key << ": " << shown(member) << '\n';
    } else {
      std::cout << name << ": " << shown(value) << '\n';
    }
  }
  std::cout << std::flush;
}

void Console::note(std::string_view line) const {
  if (!quiet_) std::cerr << line << '\n' << std::flush;
}

void Console::warn(std::string_view line) const { log(LogLevel::kWarn, line); }

}  // namespace dsrasq::cli
