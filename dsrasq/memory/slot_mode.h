#pragma once

// The ways in which the compressive cache takes in a block (design 3.2).

#include <optional>
#include <string_view>

namespace dsrasq::memory {

/// kContent: a token's keys and values decide how much of it a slot takes. kPosition: its place in
/// the block does. kRotate: as kContent, but a block replaces one slot and leaves the others alone.
enum class SlotMode { kContent, kPosition, kRotate };

/// As options and adapter files call it: "content", "position" or "rotate".
const char* slot_mode_name(SlotMode mode);
/// Empty when it is none of the three.
std::optional<SlotMode> find_slot_mode(std::string_view name);

}  // namespace dsrasq::memory
