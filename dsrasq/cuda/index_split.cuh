#pragma once

// A scan of few queries over many blocks: each scans a part of the keys and leaves its best, then a
// block for every query takes the best of those.

#include "dsrasq/cuda/candidates.cuh"
#include "dsrasq/cuda/index_scan.h"
#include "dsrasq/cuda/log_mass.cuh"

namespace dsrasq::cuda {

inline constexpr int kScanTile = 16;           ///< queries of a block
inline constexpr int kMostScanEntries = 8192;  ///< that the parts of a scan leave for a query

/// What the parts of a scan leave, in IndexScan::scratch.
struct ScanParts {
  int n;            // parts; 1: none
  Candidate* best;  // [T, n, k] by ascending position; then position -1
  LogMass* mass;    // [T, n]
};

ScanParts parts_of(const IndexScan& scan);

/// Writes what is selected of the parts' best.
void merge_parts(const IndexScan& scan, const ScanParts& parts, Stream stream);

/// Row of the ring of a position that is counted from the scan's first key, or -1.
__device__ inline int32_t row_of(int position, int64_t base_row, int64_t capacity) {
  if (position < 0) return -1;
  const int64_t row = base_row + position;
  return static_cast<int32_t>(row >= capacity ? row - capacity : row);
}

/// The first key that the 16 queries of a tile look at, a multiple of kRingStep.
__device__ inline int64_t first_key(const IndexScan& p, int64_t tile) {
  return p.rule.first(p.first + tile * kScanTile) / kRingStep * kRingStep;
}

}  // namespace dsrasq::cuda
