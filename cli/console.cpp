#include "cli/console.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "dsrasq/core/log.h"

namespace dsrasq::cli {

void Console::result(std::string_view text) const {
  if (!json_) std::cout << text << std::flush;
}

void Console::result_lines(const nlohmann::ordered_json& result) const {
  if (json_) return;
  using Json = nlohmann::ordered_json;
  const auto shown = [](const Json& v) {
    if (v.is_null()) return std::string("none");
    return v.is_string() ? v.get<std::string>()
                         : v.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
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
