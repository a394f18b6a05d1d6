#pragma once

// All points of a sweep and what was measured there, as one table.

#include <filesystem>
#include <vector>

#include "dsrasq/sweep/point.h"

namespace dsrasq::sweep {

/// How many points there are, are `finished` and have `failed`, and a row for each: its values, and
/// either what its stages `train` (of `train joint`), `perplexity` (of `eval perplexity --policy
/// full,dsrasq`) and, where there is one, `needle` (of `eval needle`) found, or why it failed.
/// Throws kBadInput naming the file and the field when a result is no such thing.
Json sweep_table(const std::filesystem::path& folder, const std::vector<Point>& points);

}  // namespace dsrasq::sweep
