#include "dsrasq/eval/shard_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::eval {

using Json = nlohmann::ordered_json;

Json merged_samples(const std::vector<std::string>& files, const std::vector<std::string>& keys) {
  constexpr const char* kWhere = "eval.shard_files";
  std::set<std::string> seen;
  std::vector<Json> samples;
  for (const std::string& file : files) {
    const Json result = Json::parse(read_file(file), nullptr, false);
    DSRASQ_CHECK(result.is_object() && result.contains("samples") && result["samples"].is_array(),
                 kBadInput, kWhere, file, ": not a result with samples");
    for (const Json& sample : result["samples"]) {
      DSRASQ_CHECK(
          sample.is_object() && sample.contains("sample") && sample["sample"].is_number_integer(),
          kBadInput, kWhere, file, ": a sample has no number");
      Json values = Json::array();
      for (const std::string& key : keys) {
        DSRASQ_CHECK(sample.contains(key), kBadInput, kWhere, file, ": sample ", sample["sample"],
                     " has no \"", key, "\"");
        values.push_back(sample[key]);
      }
      DSRASQ_CHECK(seen.insert(values.dump()).second, kBadInput, kWhere, file, ": sample ",
                   values.dump(), " is there twice");
      samples.push_back(sample);
    }
  }
  std::stable_sort(samples.begin(), samples.end(), [](const Json& a, const Json& b) {
    return a["sample"].get<int64_t>() < b["sample"].get<int64_t>();
  });
  return samples;
}

}  // namespace dsrasq::eval
