#include "dsrasq/policy/masked_slots.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <vector>

#include "dsrasq/ops/grouped_heads.h"

namespace dsrasq::policy {
namespace {

// What every slot takes from a block's rows x [n, d]: [r, d].
at::Tensor summary(const at::Tensor& x, const at::Tensor& u) {
  return x.matmul(u).softmax(0).t().matmul(x);
}

}  // namespace

MaskedSlots::MaskedSlots(const memory::SlotParameters& p, at::Device device) {
  const int64_t n_kv = p.n_kv_heads, r = p.n_slots, width = static_cast<int64_t>(p.u_k.size()) / r;
  const auto tensor = [&](const std::vector<float>& values, at::IntArrayRef shape) {
    return at::tensor(values, at::kFloat).view(shape).to(device);
  };
  u_k_ = tensor(p.u_k, {width, r});
  u_v_ = tensor(p.u_v, {width, r});
  beta_ = tensor(p.beta, {r, 1});
  read_k_ = tensor(p.read_k, {n_kv, width, width / n_kv});
  read_v_ = tensor(p.read_v, {n_kv, width, width / n_kv});
  gate_ = tensor(p.gate, {static_cast<int64_t>(p.gate.size()), 1, 1}).tanh();
  slots_ = at::zeros({r, width}, u_k_.options());
}

void MaskedSlots::fold(const at::Tensor& k, const at::Tensor& v) {
  const auto rows = [&](const at::Tensor& x) {
    return x.to(at::kFloat).reshape({x.size(0), slots_.size(1)});
  };
  slots_ = beta_ * slots_ + (1 - beta_) * (summary(rows(k), u_k_) + summary(rows(v), u_v_));
  ++n_folds_;
}

at::Tensor MaskedSlots::read(const at::Tensor& q, double scale) const {
  if (n_folds_ == 0) return {};
  const at::Tensor seen = slots_ / (1 - beta_.pow(static_cast<double>(n_folds_)));
  const at::Tensor queries = q.to(at::kFloat).transpose(0, 1);
  const at::Tensor weights =
      (ops::grouped_products(queries, seen.matmul(read_k_)) * scale).softmax(2);
  const at::Tensor read = ops::grouped_values(weights, seen.matmul(read_v_)) * gate_;
  return read.transpose(0, 1).to(q.scalar_type());
}

size_t MaskedSlots::bytes() const { return slots_.nbytes(); }

}  // namespace dsrasq::policy
