#pragma once

// What a report shows of each kind of result. Only what the files hold is shown; what is missing is
// said.

#include <vector>

#include "dsrasq/report/figure.h"

namespace dsrasq::report {

/// Perplexity against full attention, tokens retrieved and bytes; KL divergence. Runs over the same
/// texts share a figure.
Section perplexity_section(const std::vector<ResultFile>& files);
/// Needles found by length, and by depth.
Section needle_section(const std::vector<ResultFile>& files);
/// Passages told apart by what was read of their texts.
Section gist_section(const std::vector<ResultFile>& files);
/// Scores of tasks by policy; memories that knew the question apart from those that did not.
Section task_section(const std::vector<ResultFile>& files);
/// Tokens per second and memory against length.
Section speed_section(const std::vector<ResultFile>& files);
/// Perplexity over the grids of `sweep`, and what the prices of tokens and operations do.
Section sweep_section(const std::vector<ResultFile>& files);
/// What was read for answers, and how many questions were answered.
Section answer_section(const std::vector<ResultFile>& files);

/// The sections that have a figure or say that one is missing. Figures point into `files`.
std::vector<Section> make_sections(const std::vector<ResultFile>& files);

}  // namespace dsrasq::report
