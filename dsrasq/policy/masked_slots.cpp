#include "dsrasq/policy/masked_slots.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <vector>

#include "dsrasq/ops/grouped_heads.h"

namespace dsrasq::policy {

using memory::SlotMode;

MaskedSlots::MaskedSlots(const memory::SlotParameters& p, at::Device device) : mode_(p.mode) {
  const int64_t n_kv = p.n_kv_heads, r = p.n_slots, width = p.width();
  const auto tensor = [&](const std::vector<float>& values, at::IntArrayRef shape) {
    return at::tensor(values, at::kFloat).view(shape).to(device);
  };
  u_k_ = tensor(p.u_k, {-1, r});
  u_v_ = tensor(p.u_v, {-1, r});
  if (mode_ != SlotMode::kRotate) beta_ = tensor(p.beta, {r, 1});
  read_k_ = tensor(p.read_k, {n_kv, width, p.head_dim});
  read_v_ = tensor(p.read_v, {n_kv, width, p.head_dim});
  gate_ = tensor(p.gate, {static_cast<int64_t>(p.gate.size()), 1, 1}).tanh();
  slots_ = at::zeros({r, width}, u_k_.options());
}

// What the slots take from a block's rows x [n, d], the first of them at `place`: [r, d], and of
// kRotate [1, d] for the slot whose turn it is.
at::Tensor MaskedSlots::summary(const at::Tensor& x, const at::Tensor& u, int64_t place) const {
  const at::Tensor own = mode_ == SlotMode::kRotate ? u.narrow(1, n_folds_ % slots_.size(0), 1) : u;
  const at::Tensor logits =
      mode_ == SlotMode::kPosition ? own.narrow(0, place, x.size(0)) : x.matmul(own);
  return logits.softmax(0).t().matmul(x);
}

void MaskedSlots::fold(int64_t place, const at::Tensor& k, const at::Tensor& v) {
  const auto rows = [&](const at::Tensor& x) {
    return x.to(at::kFloat).reshape({x.size(0), slots_.size(1)});
  };
  const at::Tensor fresh = summary(rows(k), u_k_, place) + summary(rows(v), u_v_, place);
  if (mode_ == SlotMode::kRotate)
    slots_.narrow(0, n_folds_ % slots_.size(0), 1).copy_(fresh);
  else
    slots_ = beta_ * slots_ + (1 - beta_) * fresh;
  ++n_folds_;
}

at::Tensor MaskedSlots::read(const at::Tensor& q, double scale, double share) const {
  if (n_folds_ == 0 || share == 0) return {};
  const at::Tensor seen = mode_ == SlotMode::kRotate
                              ? slots_.narrow(0, 0, std::min(n_folds_, slots_.size(0)))
                              : slots_ / (1 - beta_.pow(static_cast<double>(n_folds_)));
  const at::Tensor queries = q.to(at::kFloat).transpose(0, 1);
  const at::Tensor weights =
      (ops::grouped_products(queries, seen.matmul(read_k_)) * scale).softmax(2);
  const at::Tensor read = ops::grouped_values(weights, seen.matmul(read_v_)) * (gate_ * share);
  return read.transpose(0, 1).to(q.scalar_type());
}

size_t MaskedSlots::bytes() const { return slots_.nbytes(); }

}  // namespace dsrasq::policy
