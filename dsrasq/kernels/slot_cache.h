#pragma once

// The rotating compressive cache (design 3.2): folding a block of tokens into the latent slots, and
// reading the slots beside the exact attention.

#include <cstdint>

namespace dsrasq::kernels {

/// One layer: with A_K = softmax over the m tokens of (K U_K), A_V likewise of V U_V,
///   C = beta * C + (1 - beta) * (A_K^T K + A_V^T V).
/// With `places` token i has row places[i] of U_K and U_V for logits, whatever its key and value.
/// Dims: m tokens, d = Hkv * D, a multiple of 16, r slots.
struct SlotFoldParams {
  const float* k;         ///< [m, d], keys before RoPE
  const float* v;         ///< [m, d]
  const float* u_k;       ///< [d, r]; with `places` a row for each place in a block
  const float* u_v;       ///< likewise
  const int64_t* places;  ///< [m], or null
  const float* beta;      ///< [r]; null: all 0
  float* slots;           ///< [r, d], C, updated
  int64_t m, d, r;
  int64_t first, count;  ///< slots [first, first + count) are updated, the others stay
};

void fold_slots(const SlotFoldParams& params);
void fold_slots_ref(const SlotFoldParams& params);

/// Floats that `pack_slot_keys` writes.
int64_t packed_slot_floats(int32_t n_kv_heads, int64_t r, int64_t D);

/// Read-out keys `slot_k` [Hkv, r, D] as `read_slots` wants them: [Hkv, ceil(r / 16), D, 16]. Once
/// a fold, not once a call.
void pack_slot_keys(const float* slot_k, int32_t n_kv_heads, int64_t r, int64_t D, float* packed);

/// out_h += share * tanh(gate_h) * softmax(q_h K_slot^T * scale) V_slot for every query and head h.
/// Dims as in `SparseAttentionParams`.
struct SlotReadParams {
  const float* q;              ///< [n, H, D], before RoPE
  const float* packed_slot_k;  ///< from `pack_slot_keys`
  const float* slot_v;         ///< [Hkv, r, D]
  const float* gate;           ///< [H]; the heads whose gate is 0 cost nothing
  float* out;                  ///< [n, H, D], added to
  int64_t n, r;
  int64_t n_filled;  ///< the first slots, at least one: the others are not read
  int32_t H, n_kv_heads, D;
  float scale;
  float share = 1;  ///< how loud the slots are
};

void read_slots(const SlotReadParams& params);
/// Takes the same packed keys.
void read_slots_ref(const SlotReadParams& params);

}  // namespace dsrasq::kernels
