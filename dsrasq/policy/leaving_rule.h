#pragma once

#include "dsrasq/memory/lost_share.h"
#include "dsrasq/policy/factory.h"

namespace dsrasq::policy {

/// When tokens leave a layer without a sliding window of its own.
inline memory::LeavingRule leaving_rule(const PolicyOptions& options) {
  return {options.window, options.sinks, options.pool, options.block};
}

}  // namespace dsrasq::policy
