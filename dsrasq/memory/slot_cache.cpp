#include "dsrasq/memory/slot_cache.h"

#include <algorithm>
#include <cmath>

#include "dsrasq/kernels/slot_cache.h"

namespace dsrasq::memory {

SlotCache::SlotCache(const SlotParameters& parameters, int64_t n_heads, int64_t n_kv_heads,
                     int64_t head_dim)
    : parameters_(&parameters),
      n_heads_(n_heads),
      n_kv_heads_(n_kv_heads),
      head_dim_(head_dim),
      slots_(parameters.n_slots * n_kv_heads * head_dim),
      keys_(kernels::packed_slot_floats(static_cast<int32_t>(n_kv_heads), parameters.n_slots,
                                        head_dim)),
      values_(n_kv_heads * parameters.n_slots * head_dim),
      n_folds_(1) {}

void SlotCache::fold(std::span<const int64_t> places, const float* k, const float* v) {
  const SlotParameters& p = *parameters_;
  const bool rotates = p.mode == SlotMode::kRotate;
  const int64_t first = rotates ? n_folds_[0] % p.n_slots : 0, count = rotates ? 1 : p.n_slots;
  ++n_folds_[0];
  if (!places.empty()) {
    kernels::fold_slots({.k = k,
                         .v = v,
                         .u_k = p.u_k.data(),
                         .u_v = p.u_v.data(),
                         .places = p.mode == SlotMode::kPosition ? places.data() : nullptr,
                         .beta = rotates ? nullptr : p.beta.data(),
                         .slots = slots_.data(),
                         .m = static_cast<int64_t>(places.size()),
                         .d = p.width(),
                         .r = p.n_slots,
                         .first = first,
                         .count = count});
  } else {
    for (int64_t s = first; s < first + count; ++s) {
      const float kept = rotates ? 0 : p.beta[static_cast<size_t>(s)];
      for (int64_t c = 0; c < p.width(); ++c) slots_[s * p.width() + c] *= kept;
    }
  }
  update_read_outs();
}

// What a slot is multiplied by when it is read: 1 / (1 - beta^t), so that one that forgets slowly
// is not a faint one at first.
float SlotCache::correction(int64_t slot) const {
  if (parameters_->mode == SlotMode::kRotate) return 1;
  const double kept = std::pow(parameters_->beta[static_cast<size_t>(slot)], n_folds_[0]);
  return static_cast<float>(1 / (1 - kept));
}

void SlotCache::update_read_outs() {
  const SlotParameters& p = *parameters_;
  const int64_t width = p.width(), r = p.n_slots;
  const auto project = [&](const std::vector<float>& weight, float* out) {
    for (int64_t g = 0; g < n_kv_heads_; ++g)
      for (int64_t s = 0; s < r; ++s) {
        const float factor = correction(s);
        float* row = out + (g * r + s) * head_dim_;
        for (int64_t d = 0; d < head_dim_; ++d) row[d] = 0;
        for (int64_t c = 0; c < width; ++c) {
          const float value = slots_[s * width + c] * factor;
          const float* w = weight.data() + (g * width + c) * head_dim_;
          for (int64_t d = 0; d < head_dim_; ++d) row[d] += value * w[d];
        }
      }
  };
  std::vector<float> keys(static_cast<size_t>(n_kv_heads_ * r * head_dim_));
  project(p.read_k, keys.data());
  kernels::pack_slot_keys(keys.data(), static_cast<int32_t>(n_kv_heads_), r, head_dim_,
                          keys_.data());
  project(p.read_v, values_.data());
}

void SlotCache::read(int64_t n, const float* q, float scale, float share, float* out) const {
  if (n_folds_[0] == 0 || share == 0) return;
  const int64_t r = parameters_->n_slots;
  kernels::read_slots(
      {.q = q,
       .packed_slot_k = keys_.data(),
       .slot_v = values_.data(),
       .gate = parameters_->gate.data(),
       .out = out,
       .n = n,
       .r = r,
       .n_filled = parameters_->mode == SlotMode::kRotate ? std::min(n_folds_[0], r) : r,
       .H = static_cast<int32_t>(n_heads_),
       .n_kv_heads = static_cast<int32_t>(n_kv_heads_),
       .D = static_cast<int32_t>(head_dim_),
       .scale = scale,
       .share = share});
}

}  // namespace dsrasq::memory
