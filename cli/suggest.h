#pragma once

// What a mistyped name probably meant.

#include <string>
#include <vector>

namespace dsrasq::cli {

/// The name nearest to `typed` (insertions, deletions, swaps of neighbours, replacements), or empty
/// when none is near enough to be worth suggesting.
std::string nearest_name(const std::string& typed, const std::vector<std::string>& names);

/// "; did you mean NAME?" with `prefix` before the name, or empty.
std::string suggestion(const std::string& typed, const std::vector<std::string>& names,
                       const std::string& prefix = "");

}  // namespace dsrasq::cli
