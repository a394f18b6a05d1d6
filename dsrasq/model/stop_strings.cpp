#include "dsrasq/model/stop_strings.h"

#include <algorithm>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::model {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) {
    DSRASQ_CHECK(!stop.empty(), kInvalidArgument, "model.stop_strings", "a stop string is empty");
  }
  std::stable_sort(stops_.begin(), stops_.end(),
                   [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

// The length of the longest end of the pending text with which some stop string begins.
size_t StopMatcher::held_back() const {
  size_t longest = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, pending_.size()); n > longest; --n) {
      if (pending_.compare(pending_.size() - n, n, stop, 0, n) == 0) longest = n;
    }
  }
  return longest;
}

std::string StopMatcher::feed(std::string_view piece) {
  if (matched()) return {};
  for (const char c : piece) {
    pending_ += c;
    for (const std::string& stop : stops_) {
      if (!pending_.ends_with(stop)) continue;
      match_ = stop;
      pending_.resize(pending_.size() - stop.size());
      return std::exchange(pending_, {});
    }
  }
  const size_t n_ready = pending_.size() - held_back();
  std::string ready = pending_.substr(0, n_ready);
  pending_.erase(0, n_ready);
  return ready;
}

std::string StopMatcher::finish() { return std::exchange(pending_, {}); }

}  // namespace dsrasq::model
