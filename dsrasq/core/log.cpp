#include "dsrasq/core/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace dsrasq {

void log(LogLevel level, std::string_view message) {
  static const auto logger = [] {
    auto made = spdlog::stderr_color_mt("dsrasq");
    made->set_pattern("%^%l:%$ %v");
    return made;
  }();
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::info, spdlog::level::warn,
                                                   spdlog::level::err};
  logger->log(kLevels[static_cast<int>(level)], message);
}

}  // namespace dsrasq
