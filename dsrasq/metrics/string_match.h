#pragma once

// Whether the wanted strings occur in a prediction, as RULER scores its tasks (Hsieh et al. 2024,
// scripts/eval).

#include <span>
#include <string>
#include <string_view>

namespace dsrasq::metrics {

/// The share of the references that the prediction contains, upper and lower case being the same.
/// Control characters of the prediction count as new lines, and white space around it is dropped.
/// 0 without references.
double string_match_all(std::string_view prediction, std::span<const std::string> references);

/// Whether it contains any of them.
bool string_match_part(std::string_view prediction, std::span<const std::string> references);

}  // namespace dsrasq::metrics
