#pragma once

// A figure that is a mean over samples, as the rows of results show it.

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace dsrasq::eval {

/// A value of each sample, by the samples' numbers.
using BySample = std::map<int64_t, double>;

/// Adds `name` and `name_interval`, its 95 % bootstrap interval over the samples.
void add_mean(nlohmann::ordered_json& row, const std::string& name, const BySample& values);

/// Adds `name_difference` and `name_difference_interval`: by how much the values exceed those of
/// the first policy, over the samples that both have. Adds nothing where there is none.
void add_difference(nlohmann::ordered_json& row, const std::string& name, const BySample& values,
                    const BySample& of_first);

}  // namespace dsrasq::eval
