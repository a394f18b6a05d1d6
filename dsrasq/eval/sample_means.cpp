#include "dsrasq/eval/sample_means.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "dsrasq/eval/statistics.h"

namespace dsrasq::eval {
namespace {

void add(nlohmann::ordered_json& row, const std::string& name, const std::vector<double>& values) {
  const Interval interval = bootstrap_mean(values);
  row[name] = mean(values);
  row[name + "_interval"] = {interval.low, interval.high};
}

}  // namespace

void add_mean(nlohmann::ordered_json& row, const std::string& name, const BySample& values) {
  std::vector<double> all;
  for (const auto& [sample, value] : values) all.push_back(value);
  add(row, name, all);
}

void add_difference(nlohmann::ordered_json& row, const std::string& name, const BySample& values,
                    const BySample& of_first) {
  std::vector<double> differences;
  for (const auto& [sample, value] : values)
    if (const auto other = of_first.find(sample); other != of_first.end())
      differences.push_back(value - other->second);
  if (!differences.empty()) add(row, name + "_difference", differences);
}

}  // namespace dsrasq::eval
