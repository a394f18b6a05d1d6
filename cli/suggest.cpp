#include "cli/suggest.h"

#include <algorithm>

namespace dsrasq::cli {
namespace {

// Optimal string alignment distance, three rows at a time.
size_t edits(const std::string& a, const std::string& b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest_name(const std::string& typed, const std::vector<std::string>& names) {
  std::string best;
  size_t fewest = std::max<size_t>(1, typed.size() / 3) + 1;
  for (const std::string& name : names) {
    const size_t distance = edits(typed, name);
    if (distance < fewest) fewest = distance, best = name;
  }
  return best;
}

std::string suggestion(const std::string& typed, const std::vector<std::string>& names,
                       const std::string& prefix) {
  const std::string name = nearest_name(typed, names);
  return name.empty() ? "" : "; did you mean " + prefix + name + "?";
}

}  // namespace dsrasq::cli
