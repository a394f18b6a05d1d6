#include "dsrasq/train/index_scores.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

namespace dsrasq::train {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// ReLU(q_h . c) of a head [R, N].
at::Tensor active_dots(const at::Tensor& query, const at::Tensor& key, int64_t head) {
  return query.select(0, head).matmul(key.transpose(-2, -1)).relu_();
}

class IndexScores : public torch::autograd::Function<IndexScores> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& query,
                            const at::Tensor& key, const at::Tensor& weight) {
    context->save_for_backward({query, key, weight});
    std::vector<int64_t> sizes = query.sizes().slice(1).vec();
    sizes.back() = key.size(-2);
    at::Tensor scores = at::zeros(sizes, key.options());
    for (int64_t h = 0; h < query.size(0); ++h)
      scores.addcmul_(active_dots(query, key, h), weight.narrow(-1, h, 1));
    return scores;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const IndexScoreGradients found =
        index_score_gradients(saved[0], saved[1], saved[2], gradients[0]);
    return {found.query, found.key, found.weight};
  }
};

}  // namespace

at::Tensor index_scores(const at::Tensor& query, const at::Tensor& key, const at::Tensor& weight) {
  return IndexScores::apply(query, key, weight);
}

IndexScoreGradients index_score_gradients(const at::Tensor& query, const at::Tensor& key,
                                          const at::Tensor& weight, const at::Tensor& d_scores) {
  std::vector<at::Tensor> d_query, d_weight;
  at::Tensor d_key = at::zeros(key.sizes(), key.options());
  for (int64_t h = 0; h < query.size(0); ++h) {
    const at::Tensor active = active_dots(query, key, h);
    d_weight.push_back(at::bmm(active.unsqueeze(1), d_scores.unsqueeze(2)).view({-1, 1}));
    // Where the ReLU let something through.
    const at::Tensor d_dot = at::threshold_backward(d_scores * weight.narrow(1, h, 1), active, 0);
    d_query.push_back(d_dot.matmul(key));
    d_key.addmm_(d_dot.t(), query.select(0, h));
  }
  return {at::stack(d_query), d_key, at::cat(d_weight, 1)};
}

}  // namespace dsrasq::train
