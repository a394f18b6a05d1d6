#pragma once

// bAbI's one-word answers inside longer outputs, as BABILong scores them (Kuratov et al. 2024,
// babilong/metrics.py).

#include <span>
#include <string_view>

namespace dsrasq::metrics {

constexpr int kBabiTasks = 20;

/// All answers that the questions of a task, 1 to kBabiTasks, can have. Throws kInvalidArgument
/// otherwise.
std::span<const std::string_view> babi_labels(int task);

/// Whether the first sentence of `output` names the target and no other label, those of the
/// question aside. A target of several labels has commas between them: all must be there. Upper and
/// lower case are the same, and a label counts wherever its letters stand, also inside a word.
bool babi_correct(std::string_view output, std::string_view target, std::string_view question,
                  std::span<const std::string_view> labels);

}  // namespace dsrasq::metrics
