#include "dsrasq/report/policy_family.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace dsrasq::report {
namespace {

std::string_view name_of(std::string_view label) { return label.substr(0, label.find(':')); }

}  // namespace

std::string policy_option(std::string_view label, std::string_view name, const Options& run) {
  for (size_t at = label.find(':'); at != std::string_view::npos; at = label.find(':', at + 1)) {
    const std::string_view part = label.substr(at + 1, label.find(':', at + 1) - at - 1);
    const size_t equals = part.find('=');
    if (equals != std::string_view::npos && part.substr(0, equals) == name)
      return std::string(part.substr(equals + 1));
  }
  for (const Option& option : run)
    if (option.name == name && !option.values.empty()) return option.values.front();
  return "";
}

std::string family_of(std::string_view label, const Options& run) {
  if (name_of(label) != "dsrasq") return std::string(name_of(label));
  const std::string retrieve = policy_option(label, "retrieve", run);
  const double min_share = std::atof(policy_option(label, "min-share", run).c_str());
  // In the order in which the policy decides (policy/set_size.h).
  if (retrieve == "topk") return "dsrasq top-k";
  if (min_share > 0 || retrieve == "threshold") return "dsrasq threshold";
  if (retrieve == "budget") return "dsrasq budget";
  return retrieve == "auto" ? "dsrasq" : "dsrasq top-k";
}

std::string options_beside(std::string_view label, const std::vector<std::string_view>& along) {
  std::string out;
  for (size_t at = label.find(':'); at != std::string_view::npos; at = label.find(':', at + 1)) {
    const std::string_view part = label.substr(at, label.find(':', at + 1) - at);
    const std::string_view name = part.substr(1, part.find('=') - 1);
    if (std::find(along.begin(), along.end(), name) == along.end()) out += part;
  }
  return out;
}

bool sizes_are_trained(std::string_view label, const Options& run) {
  const std::string retrieve = policy_option(label, "retrieve", run);
  return name_of(label) == "dsrasq" && (retrieve == "budget" || retrieve == "threshold") &&
         !(std::atof(policy_option(label, "min-share", run).c_str()) > 0);
}

bool keeps_by_question(std::string_view label, const Options& run) {
  return name_of(label) == "snapkv" || name_of(label) == "pyramidkv" ||
         policy_option(label, "retention", run) == "question";
}

bool is_full(std::string_view label) { return name_of(label) == "full"; }

int colour_of(std::string_view family) {
  // The last of the published methods share colours with the first: marks tell them apart.
  constexpr std::array<std::string_view, 15> kFamilies{
      "full",    "dsrasq top-k", "dsrasq threshold", "dsrasq budget", "window",
      "recency", "random",       "oracle",           "streaming-llm", "h2o",
      "tova",    "snapkv",       "pyramidkv",        "quest",         "razor"};
  constexpr int kFirstShared = 8, kShared = 4;
  if (family == "dsrasq") return 1;
  const auto found = std::find(kFamilies.begin(), kFamilies.end(), family);
  const auto number = static_cast<int>(found - kFamilies.begin());
  return number < kFirstShared ? number : kFirstShared + number % kShared;
}

}  // namespace dsrasq::report
