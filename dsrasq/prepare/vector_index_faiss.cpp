#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/impl/FaissException.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/prepare/vector_index.h"

namespace dsrasq::prepare {
namespace {

constexpr const char* kInVectorIndex = "prepare.vector_index";
constexpr int kLinks = 32, kSearched = 128;  // of a vector in a graph; least of it that is searched
constexpr int64_t kAddedAtOnce = 1024;       // vectors between two looks at the clock

class OpenMpThreads {
 public:
  explicit OpenMpThreads(int n) : before_(omp_get_max_threads()) { omp_set_num_threads(n); }
  ~OpenMpThreads() { omp_set_num_threads(before_); }
  OpenMpThreads(const OpenMpThreads&) = delete;
  OpenMpThreads& operator=(const OpenMpThreads&) = delete;

 private:
  int before_;
};

class FaissIndex : public VectorIndex {
 public:
  explicit FaissIndex(std::unique_ptr<faiss::Index> index) : index_(std::move(index)) {
    if (auto* ivf = dynamic_cast<faiss::IndexIVF*>(index_.get()))
      ivf->nprobe = std::min(ivf->nlist, std::max<size_t>(8, ivf->nlist / 8));
  }

  int64_t size() const override { return index_->ntotal; }
  int64_t dimensions() const override { return index_->d; }

  std::vector<int64_t> search(const VectorRows& queries, int64_t k) const override {
    const OpenMpThreads threads(num_threads());
    const auto n = static_cast<size_t>(queries.n * k);
    std::vector<faiss::Index::idx_t> found(n);
    std::vector<float> similarities(n);
    faiss::SearchParametersHNSW graph;
    graph.efSearch = static_cast<int>(std::max<int64_t>(kSearched, k));
    const bool is_graph = dynamic_cast<const faiss::IndexHNSW*>(index_.get()) != nullptr;
    index_->search(queries.n, queries.data, k, similarities.data(), found.data(),
                   is_graph ? &graph : nullptr);
    return found;
  }

  std::string bytes() const override {
    faiss::VectorIOWriter out;
    faiss::write_index(index_.get(), &out);
    return {out.data.begin(), out.data.end()};
  }

 private:
  std::unique_ptr<faiss::Index> index_;
};

std::unique_ptr<faiss::Index> empty_index(std::string_view kind, const VectorRows& vectors) {
  constexpr faiss::MetricType kMetric = faiss::METRIC_INNER_PRODUCT;
  const int64_t width = vectors.dimensions;
  if (kind == "flat") return std::make_unique<faiss::IndexFlat>(width, kMetric);
  if (kind == "hnsw")
    return std::make_unique<faiss::IndexHNSWFlat>(static_cast<int>(width), kLinks, kMetric);
  const auto lists = static_cast<size_t>(std::lround(std::sqrt(static_cast<double>(vectors.n))));
  auto lists_of = std::make_unique<faiss::IndexFlat>(width, kMetric);
  auto ivf = std::make_unique<faiss::IndexIVFFlat>(lists_of.get(), static_cast<size_t>(width),
                                                   std::max<size_t>(1, lists), kMetric);
  lists_of.release();  // NOLINT(bugprone-unused-return-value): it is the index's now
  ivf->own_fields = true;
  ivf->cp.min_points_per_centroid = 1;  // it warns about fewer, in words of its own
  return ivf;
}

}  // namespace

bool has_vector_index() { return true; }

void check_vector_index(std::string_view kind) {
  DSRASQ_CHECK(kind == "flat" || kind == "ivf" || kind == "hnsw", kInvalidArgument, kInVectorIndex,
               "--kind is ", kind, ", want flat, ivf or hnsw");
}

std::unique_ptr<VectorIndex> build_vector_index(
    std::string_view kind, const VectorRows& vectors,
    const std::function<void(int64_t, int64_t)>& progress) {
  check_vector_index(kind);
  // With several, the links of a graph depend on who is first.
  const OpenMpThreads one(1);
  auto index = empty_index(kind, vectors);
  if (!index->is_trained) index->train(vectors.n, vectors.data);
  for (int64_t first = 0; first < vectors.n; first += kAddedAtOnce) {
    check_interrupt();
    const int64_t n = std::min(kAddedAtOnce, vectors.n - first);
    index->add(n, vectors.data + first * vectors.dimensions);
    if (progress) progress(first + n, vectors.n);
  }
  return std::make_unique<FaissIndex>(std::move(index));
}

std::unique_ptr<VectorIndex> read_vector_index(std::span<const std::byte> bytes,
                                               const std::string& name) {
  faiss::VectorIOReader in;
  in.data.resize(bytes.size());
  std::memcpy(in.data.data(), bytes.data(), bytes.size());
  try {
    return std::make_unique<FaissIndex>(std::unique_ptr<faiss::Index>(faiss::read_index(&in)));
  } catch (const faiss::FaissException& error) {
    throw Error(ErrorCode::kBadInput, kInVectorIndex,
                concat(name, ": no FAISS index: ", error.what()));
  }
}

}  // namespace dsrasq::prepare
