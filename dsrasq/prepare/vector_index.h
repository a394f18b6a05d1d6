#pragma once

// FAISS (Johnson et al. 2019, "Billion-scale similarity search with GPUs"; Douze et al. 2024, "The
// Faiss library") behind an interface: the vectors with the largest inner product. A program that
// was built without it refuses by kUnavailable.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::prepare {

/// Whether this program has FAISS.
bool has_vector_index();

/// `n` rows of `dimensions` values.
struct VectorRows {
  const float* data = nullptr;
  int64_t n = 0, dimensions = 0;
};

/// Const calls may run on several threads.
class VectorIndex {
 public:
  virtual ~VectorIndex() = default;
  virtual int64_t size() const = 0;
  virtual int64_t dimensions() const = 0;
  /// Of each query the numbers of the `k` nearest vectors `[queries.n, k]`, the nearest first;
  /// -1 where no more were found.
  virtual std::vector<int64_t> search(const VectorRows& queries, int64_t k) const = 0;
  /// What `read_vector_index` takes.
  virtual std::string bytes() const = 0;
};

/// Throws kInvalidArgument for an unknown kind, kUnavailable without FAISS.
void check_vector_index(std::string_view kind);

/// "flat": every vector is looked at. "ivf": about sqrt(n) lists of k-means, an eighth of which (at
/// least 8) is looked at. "hnsw": a graph with 32 links a vector (Malkov & Yashunin 2018). Built on
/// one thread, so that the same vectors give the same index. `progress` gets vectors added and in
/// all. Throws as check_vector_index.
std::unique_ptr<VectorIndex> build_vector_index(
    std::string_view kind, const VectorRows& vectors,
    const std::function<void(int64_t, int64_t)>& progress = nullptr);

/// Throws kBadInput, naming `name`, for bytes that are no index, kUnavailable without FAISS.
std::unique_ptr<VectorIndex> read_vector_index(std::span<const std::byte> bytes,
                                               const std::string& name);

}  // namespace dsrasq::prepare
