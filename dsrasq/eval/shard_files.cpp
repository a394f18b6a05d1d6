#include "dsrasq/eval/shard_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kInShardFiles = "eval.shard_files";
constexpr std::array kOfOneShard{"shard", "merge"};
constexpr std::array kWithoutEffect{"json", "quiet", "threads", "device", "predictions"};

Json read_result(const std::string& file) {
  Json result = Json::parse(read_file(file), nullptr, false);
  DSRASQ_CHECK(result.is_object() && result.contains("samples") && result["samples"].is_array(),
               kBadInput, kInShardFiles, file, ": not a result with samples");
  return result;
}

// What a result says of its options; null when it says nothing.
Json read_config(const std::string& file) {
  Json config = read_result(file).value("config", Json());
  DSRASQ_CHECK(config.is_object() || config.is_null(), kBadInput, kInShardFiles, file,
               ": its config is no JSON object");
  if (config.is_object())
    for (const char* name : kOfOneShard) config.erase(name);
  return config;
}

std::string shown(const Json& config, const std::string& name) {
  return config.contains(name) ? config[name].dump() : "none";
}

}  // namespace

Json merged_samples(const std::vector<std::string>& files, const std::vector<std::string>& keys) {
  std::set<std::string> seen;
  std::vector<Json> samples;
  for (const std::string& file : files) {
    const Json result = read_result(file);
    for (const Json& sample : result["samples"]) {
      DSRASQ_CHECK(
          sample.is_object() && sample.contains("sample") && sample["sample"].is_number_integer(),
          kBadInput, kInShardFiles, file, ": a sample has no number");
      Json values = Json::array();
      for (const std::string& key : keys) {
        DSRASQ_CHECK(sample.contains(key), kBadInput, kInShardFiles, file, ": sample ",
                     sample["sample"], " has no \"", key, "\"");
        values.push_back(sample[key]);
      }
      DSRASQ_CHECK(seen.insert(values.dump()).second, kBadInput, kInShardFiles, file, ": sample ",
                   values.dump(), " is there twice");
      samples.push_back(sample);
    }
  }
  std::stable_sort(samples.begin(), samples.end(), [](const Json& a, const Json& b) {
    return a["sample"].get<int64_t>() < b["sample"].get<int64_t>();
  });
  return samples;
}

Json merged_config(const std::vector<std::string>& files) {
  Json first;
  for (const std::string& file : files) {
    const Json config = read_config(file);
    if (&file == &files.front()) first = config;
    DSRASQ_CHECK(config.type() == first.type(), kBadInput, kInShardFiles, files.front(), " and ",
                 file, " cannot be merged: only one of them has a config");
    Json names = first;
    if (config.is_object()) names.update(config);
    for (const auto& [name, value] : names.items()) {
      const bool matters =
          std::find(kWithoutEffect.begin(), kWithoutEffect.end(), name) == kWithoutEffect.end();
      DSRASQ_CHECK(!matters || shown(first, name) == shown(config, name), kBadInput, kInShardFiles,
                   files.front(), " and ", file, " cannot be merged: their config has ", name, " ",
                   shown(first, name), " and ", shown(config, name));
    }
  }
  return first;
}

}  // namespace dsrasq::eval
