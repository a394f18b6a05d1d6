#pragma once

// What the per-target code of the index scan works on. Private to index_scan*.cpp.

#include <cstdint>

#include "dsrasq/kernels/index_scan.h"

namespace dsrasq::kernels {

inline constexpr int kScanQueries = 8;           ///< queries that share one pass over the keys
inline constexpr int64_t kScanChunkPages = 512;  ///< `log_mass` is summed chunk by chunk

/// One query during a pass. The candidates lie in position order.
struct alignas(64) ScanQuery {
  int32_t codes[kMaxIndexHeads * kMaxIndexDim / 4];  ///< four codes each
  int32_t bias[kMaxIndexHeads];  ///< takes back the 128 that is added to each key byte
  int32_t raised[kMaxIndexHeads * kMaxIndexDim / 4];  ///< the codes with 64 added to each
  float weight[kMaxIndexHeads];                       ///< weight * scale
  int64_t limit;
  float threshold;  ///< candidates score more than this; rises as they are thinned out
  int32_t k, n, capacity;
  float* z;       ///< [capacity + 16]
  int32_t* slot;  ///< [capacity + 16]
  int32_t* rank;  ///< [capacity + 16], scratch
  bool wants_mass;
  alignas(64) float lane_max[kPageTokens];
  alignas(64) float lane_sum[kPageTokens];
};

/// A part of one pass: pages order[begin] to order[end - 1], all queries of one tile.
struct ScanPart {
  const IndexPool* pool;
  const int32_t* order;
  int64_t begin, end;
  ScanQuery* queries;
  int n_queries, n_heads;
};

/// sum = e^max * sum.
struct LogMass {
  float max, sum;
};

/// The entry points of one instruction set.
struct ScanFunctions {
  void (*collect)(const ScanPart& part);   ///< candidates and, where wanted, mass per lane
  void (*thin)(ScanQuery& query);          ///< leaves the k best candidates, order kept
  LogMass (*take_mass)(ScanQuery& query);  ///< joins the lanes, which start again
  LogMass (*add_mass)(LogMass a, LogMass b);
  /// z [n_queries, n_slots] of the part's pages, at their slots; -infinity where not visible.
  void (*score)(const ScanPart& part, float* z, int64_t n_slots);
  const char* name;
};

/// The best of this machine, or the one that a test forces.
const ScanFunctions& index_scan_functions();

}  // namespace dsrasq::kernels
