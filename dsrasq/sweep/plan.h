#pragma once

// What a sweep will do, written down before it begins, so that nobody goes on with another one.

#include <filesystem>
#include <vector>

#include "dsrasq/sweep/point.h"

namespace dsrasq::sweep {

/// Writes FOLDER/plan.json, or finds the same plan there. Throws kInvalidArgument naming the first
/// thing that is another there, kBadInput when the file is no plan, kOutput when it cannot be
/// written.
void settle_plan(const std::filesystem::path& folder, const std::vector<Point>& points);

}  // namespace dsrasq::sweep
