#include "dsrasq/metrics/lcs.h"

#include <algorithm>

#include "dsrasq/core/error.h"

namespace dsrasq::metrics {
namespace {

constexpr size_t kMaxCells = size_t{1} << 31;

// Fills the table row by row, one row for each token of `a`. `visit(i, j, up, left)` sees what the
// two neighbours of a cell hold where the tokens differ.
template <class Visit>
int32_t fill_table(std::span<const int32_t> a, std::span<const int32_t> b, const Visit& visit) {
  std::vector<int32_t> row(b.size() + 1, 0);
  for (size_t i = 0; i < a.size(); ++i) {
    int32_t diagonal = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      const int32_t up = row[j + 1];
      if (a[i] == b[j]) {
        row[j + 1] = diagonal + 1;
      } else {
        visit(i, j, up, row[j]);
        row[j + 1] = std::max(up, row[j]);
      }
      diagonal = up;
    }
  }
  return row.back();
}

}  // namespace

int64_t lcs_length(std::span<const int32_t> a, std::span<const int32_t> b) {
  return fill_table(a, b, [](size_t, size_t, int32_t, int32_t) {});
}

std::vector<size_t> lcs_places(std::span<const int32_t> a, std::span<const int32_t> b, LcsTie tie) {
  DSRASQ_CHECK(b.empty() || a.size() <= kMaxCells / b.size(), kResourceExhausted, "metrics.lcs",
               "a sentence of ", a.size(), " words cannot be compared with one of ", b.size(),
               ": split the text into shorter sentences");
  // One bit a cell: whether the way back goes left, along `b`.
  std::vector<bool> goes_left(a.size() * b.size());
  const int32_t length = fill_table(a, b, [&](size_t i, size_t j, int32_t up, int32_t left) {
    goes_left[i * b.size() + j] = tie == LcsTie::kDropFirst ? left > up : left >= up;
  });
  std::vector<size_t> places(static_cast<size_t>(length));
  size_t n_left = places.size();
  for (size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
    if (a[i - 1] == b[j - 1]) {
      places[--n_left] = --i;
      --j;
    } else if (goes_left[(i - 1) * b.size() + (j - 1)]) {
      --j;
    } else {
      --i;
    }
  }
  return places;
}

}  // namespace dsrasq::metrics
