#pragma once

// Several policies in one run, and one run spread over several processes.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/policy/factory.h"

namespace dsrasq::eval {

/// A policy and what results call it.
struct NamedPolicy {
  std::string label;  ///< as it was asked for, e.g. "dsrasq:topk=64"
  policy::PolicyOptions options;
};

/// Policies by commas, each a name and, after colons, options that differ from `base`:
/// "full,dsrasq,dsrasq:topk=64:window=1024". Keys are those of PolicyOptions::visit. Throws
/// kInvalidArgument naming the part that is unknown, no number, empty or there twice.
std::vector<NamedPolicy> parse_policies(std::string_view list, const policy::PolicyOptions& base);

/// Which samples of a run this process does: those whose number leaves `index` when divided by
/// `count`.
struct Shard {
  int64_t index = 0, count = 1;
  bool has(int64_t sample) const { return sample % count == index; }
};

/// "0/4" to "3/4"; empty is everything. Throws kInvalidArgument.
Shard parse_shard(std::string_view text);

/// Gets a line about how far a run is; may be null.
using Progress = std::function<void(const std::string& line)>;

}  // namespace dsrasq::eval
