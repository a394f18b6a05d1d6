#pragma once

// Grouped cross attention (Hu et al. 2024, arXiv 2410.01651, section 3): earlier chunks of a text
// are picked by their landmarks and read by an attention each, whose results are added up with
// weights that the picking's gradient flows through.
//
// Letters of its own: C chunks of S tokens, the last of which is the landmark; K picked chunks.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace dsrasq::train {

/// For each of N queries its best of N landmarks.
struct ChunkPicks {
  at::Tensor index;   ///< `[B, N, K]` Long
  at::Tensor weight;  ///< `[B, N, K]` fp32 or fp64: a softmax over the picked; 0 where there are
                      ///< fewer than K to pick from
};

/// Query n picks from landmarks 0 to n. `queries`, `landmarks` `[B, N, E]`; `noise` `[B, N, N]` is
/// added to the scores for the choice alone, or undefined.
ChunkPicks pick_chunks(const at::Tensor& queries, const at::Tensor& landmarks, int64_t top_k,
                       const at::Tensor& noise);

/// What the N reading chunks have been given to read.
class RetrievedChunks {
 public:
  /// `keys` and `values` of the N chunks that were there to be picked, `[B, N, H, S, D]`.
  RetrievedChunks(const ChunkPicks& picks, const at::Tensor& keys, const at::Tensor& values);

  /// `[B * N, H, S, D]` to the same: sum over the picked of weight times attention to that chunk
  /// alone. A row of zeros among a chunk's keys and values makes its softmax one "plus one".
  at::Tensor attend(const at::Tensor& q, double scale) const;

 private:
  std::vector<at::Tensor> keys_, values_, weights_;  // by rank: [B * N, H, S, D], [B * N, 1, 1, 1]
};

}  // namespace dsrasq::train
