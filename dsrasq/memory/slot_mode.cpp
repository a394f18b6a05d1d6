#include "dsrasq/memory/slot_mode.h"

#include <algorithm>
#include <array>

namespace dsrasq::memory {
namespace {

constexpr std::array<const char*, 3> kNames{"content", "position", "rotate"};

}  // namespace

const char* slot_mode_name(SlotMode mode) { return kNames[static_cast<size_t>(mode)]; }

std::optional<SlotMode> find_slot_mode(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<SlotMode>(found - kNames.begin());
}

}  // namespace dsrasq::memory
