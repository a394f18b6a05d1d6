#pragma once

// Which layers go back to an old detail when it is needed, as retrieval heads do (Wu et al. 2024,
// "Retrieval Head Mechanistically Explains Long-Context Factuality"). Most attention beyond the
// window lies on what has just left it, whatever is asked; what these layers read tells where an
// answer came from.

#include <map>
#include <span>

#include "dsrasq/model/transformer.h"
#include "dsrasq/train/recall_text.h"
#include "dsrasq/train/teacher_policy.h"

namespace dsrasq::train {

/// By layer, the share of a query's attention to far tokens that lies on the detail which the query
/// has to recall, less its share on a detail that another query recalls; the mean over the focus
/// positions of the stretches, 0 where it is negative. Full attention by the model as it is; layers
/// with a sliding window are left out. At most `max_rows` queries of a stretch are used.
std::map<int64_t, float> recall_shares(const model::Transformer& model,
                                       std::span<const RecallStretch> stretches,
                                       const TeacherOptions& options, int64_t max_rows);

}  // namespace dsrasq::train
