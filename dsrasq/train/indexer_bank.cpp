#include "dsrasq/train/indexer_bank.h"

#include <ATen/Functions.h>

#include <utility>

namespace dsrasq::train {

IndexerBank::IndexerBank(const IndexerSize& size, std::vector<int64_t> layers, at::Device device)
    : size_(size), layers_(std::move(layers)) {
  retriever::IndexerParameters shapes =
      retriever::Adapter::random(size.n_embd, size.n_heads, size.head_dim, 0);
  int64_t n_values = 0;
  shapes.visit([&](const char*, const at::Tensor& t) { n_values += t.numel(); });
  const auto n_layers = static_cast<int64_t>(layers_.size());
  matrix_ = at::zeros({n_layers, n_values}, at::TensorOptions().dtype(at::kFloat).device(device));
  for (int64_t i = 0; i < n_layers; ++i) {
    retriever::IndexerParameters views = shapes;
    int64_t first = 0;
    views.visit([&](const char*, at::Tensor& t) {
      const int64_t n = t.numel();
      t = matrix_.select(0, i).narrow(0, first, n).view(t.sizes());
      first += n;
    });
    views_.push_back(std::move(views));
  }
}

void IndexerBank::randomise(uint64_t seed) {
  for (size_t i = 0; i < views_.size(); ++i)
    set(static_cast<int64_t>(i), retriever::Adapter::random(size_.n_embd, size_.n_heads,
                                                            size_.head_dim, seed * 1000003 + i));
}

void IndexerBank::set(int64_t i, retriever::IndexerParameters values) {
  std::vector<at::Tensor> tensors;
  values.visit([&](const char*, const at::Tensor& t) { tensors.push_back(t); });
  size_t next = 0;
  indexer(i).visit([&](const char*, at::Tensor& t) { t.copy_(tensors[next++]); });
}

}  // namespace dsrasq::train
