#include <algorithm>

#include "dsrasq/cuda/check.h"
#include "dsrasq/cuda/gathered_attention.h"
#include "dsrasq/cuda/halves.cuh"
#include "dsrasq/cuda/ptx.cuh"
#include "dsrasq/cuda/warp.cuh"

namespace dsrasq::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kMostHeads = 8;                  // of a warp: the columns of a product
constexpr int kTile = 16, kBatch = 2 * kTile;  // tokens of a product, of a step
constexpr float kLog2e = 1.44269504f;
constexpr float kNoLogit = -1e30f;  // finite, so that differences are
constexpr float kLeastScale = 1e-20f;

// A token at hand. Weights are taken times the scale of its values, which is therefore part of the
// exponent: fp16 then holds them whatever the scales are.
struct __align__(16) Token {
  unsigned turns;       // where its angles are
  float to_logit;       // from a product of codes to a logit of base 2
  float value_log;      // of the scale of its values, base 2
  float value_inverse;  // 1 / scale
};

struct Step {
  Token tokens[kBatch];
  unsigned codes[kBatch];  // where the tokens' keys and values are
};

// A warp reads for one query and up to 8 of its heads, which share a KV head. Logits are products
// of 16 keys by 8 heads, what is read products of 16 dimensions by 8 heads (ptx.cuh says what a
// lane holds): lane 4g + c scores the keys g and g + 8, has their weights for the heads 2c and
// 2c + 1, and adds up kDim / 8 dimensions from g * kDim / 8 on for these two heads. A row is
// loaded by the four or eight lanes that share it, 8 values in each of kPieces pieces.
template <int kDim>
struct WarpMemory {
  uint2 q[2][kDim / 16]
         [32];  // right fragments, rotated and far; kDim / 8 of both halves for each c
  Step steps[2];
};

template <int kDim>
class Reader {
  static constexpr int kHalf = kDim / 2, kOwn = kDim / 8, kPieces = kOwn / 8;

 public:
  __device__ Reader(const GatheredAttention& p, WarpMemory<kDim>& memory, int64_t token, int head,
                    int n_heads)
      : p_(p),
        memory_(memory),
        token_(token),
        position_(p.first + token),
        head_(head),
        n_heads_(n_heads),
        kv_head_(head / (p.n_heads / p.n_kv_heads)),
        lane_(threadIdx.x % 32),
        g_(lane_ / 4),
        c_(lane_ % 4),
        own_k_(p.ring.k + c_ * kOwn),
        own_v_(p.ring.v + g_ * kOwn),
        own_turns_(p.ring.turns + c_ * kOwn) {
    load_queries(p.q, memory.q[0]);
    load_queries(p.q_far, memory.q[1]);
    __syncwarp();
  }

  __device__ void read_selected() {
    const int n = p_.n_selected[token_];
    if (n == 0) return;
    const int32_t* rows = p_.selected + token_ * p_.k;
    const auto row_at = [&](int base) { return rows[min(base + lane_, n - 1)]; };
    int row = row_at(0), next = row_at(kBatch);
    unsigned far = put(memory_.steps[0], row, scales_of(row), lane_ < n);
    for (int base = 0; base < n; base += kBatch) {
      // Two steps ahead, as a row's number, its scales and its codes depend on each other.
      row = next, next = row_at(base + 2 * kBatch);
      const float2 scales = scales_of(row);
      __syncwarp();
      const int buffer = base / kBatch % 2;
      read_batch(memory_.steps[buffer], far);
      far = put(memory_.steps[1 - buffer], row, scales, base + kBatch + lane_ < n);
    }
  }

  // Sinks that have left the query's window: bf16, with no scales.
  __device__ void read_sinks() {
    const int n =
        static_cast<int>(min(static_cast<int64_t>(p_.n_sinks), position_ - p_.window + 1));
    for (int base = 0; base < n; base += kTile) {
      const int own[2] = {min(base + g_, n - 1), min(base + g_ + 8, n - 1)};
      float near[4] = {}, distant[4] = {}, logit[1][4];
      multiply_sinks(p_.sink_k_rotated, own, memory_.q[0], near);
      multiply_sinks(p_.sink_k, own, memory_.q[1], distant);
      for (int r = 0; r < 2; ++r)
        for (int h = 0; h < 2; ++h) {
          const float dot = position_ - own[r] >= p_.d_max ? distant[2 * r + h] : near[2 * r + h];
          logit[0][2 * r + h] = base + g_ + 8 * r < n ? dot * p_.scale * kLog2e : -INFINITY;
        }
      const float inverse[1][2] = {{1, 1}};
      uint2 weight[1];
      weigh(logit, inverse, weight);
      add_sinks(base, n, weight[0]);
    }
  }

  __device__ void join_window_and_write() {
    for (int step = 4; step < 32; step *= 2)
      for (float& sum : sum_) sum += __shfl_xor_sync(kAllLanes, sum, step);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int head = 2 * c_ + h;
      if (head >= n_heads_) continue;
      const float mass = p_.window_mass[(head_ + head) * p_.n + token_] * kLog2e;
      const float top = fmaxf(most_[h], mass), fade = power_of_two(most_[h] - top);
      const float share = power_of_two(mass - top);
      const float inverse = 1 / (sum_[h] * fade + share);
      const int64_t at = (token_ * p_.n_heads + head_ + head) * kDim + g_ * kOwn;
      for (int piece = 0; piece < kPieces; ++piece)
        write(piece, h, fade * inverse, share * inverse, at + piece * 8);
    }
  }

 private:
  // Eight values: what was read times `own`, and what the window gave times `share`.
  __device__ void write(int piece, int h, float own, float share, int64_t at) {
    const uint4 window = *reinterpret_cast<const uint4*>(p_.window_out + at);
    const uint32_t words[4] = {window.x, window.y, window.z, window.w};
    uint32_t out[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float(&sums)[4] = out_[4 * piece + i];
      out[i] = as_bf16(sums[h] * own + share * low_bf16(words[i]),
                       sums[2 + h] * own + share * high_bf16(words[i]));
    }
    *reinterpret_cast<uint4*>(p_.out + at) = make_uint4(out[0], out[1], out[2], out[3]);
  }

  __device__ void load_queries(const Bf16* from, uint2 (*to)[32]) const {
    const bool is_one = g_ < n_heads_;
    const Bf16* row = from + (token_ * p_.n_heads + head_ + (is_one ? g_ : 0)) * kDim + c_ * kOwn;
    for (int s = 0; s < kDim / 16; ++s) {
      const uint32_t low = *reinterpret_cast<const uint32_t*>(row + 2 * s);
      const uint32_t high = *reinterpret_cast<const uint32_t*>(row + kHalf + 2 * s);
      to[s][lane_] = is_one ? make_uint2(as_halves(low_bf16(low), high_bf16(low)),
                                         as_halves(low_bf16(high), high_bf16(high)))
                            : make_uint2(0, 0);
    }
  }

  __device__ int64_t at_row(int row) const {
    return static_cast<int64_t>(row) * p_.n_kv_heads + kv_head_;
  }
  __device__ float2 scales_of(int row) const {
    return {p_.ring.k_scale[at_row(row)], p_.ring.v_scale[at_row(row)]};
  }

  // Writes the lane's token of a step; returns which of the step's 32 are as far as d_max.
  __device__ unsigned put(Step& step, int row, float2 scales, bool is_one) const {
    const float value_scale = fmaxf(scales.y, kLeastScale);
    step.codes[lane_] = static_cast<unsigned>(at_row(row)) * kDim;
    step.tokens[lane_] = {static_cast<unsigned>(row) * kDim,
                          is_one ? scales.x * p_.scale * kLog2e : 0.0f,
                          is_one ? __log2f(value_scale) : -INFINITY, __fdividef(1.0f, value_scale)};
    int distance = static_cast<int>(position_ % p_.ring.capacity) - row;
    if (distance < 0) distance += static_cast<int>(p_.ring.capacity);
    return __ballot_sync(kAllLanes, distance >= p_.d_max);
  }

  __device__ void read_batch(const Step& step, unsigned far) {
    uint2 values[2][kPieces][4];
    for (int t = 0; t < 2; ++t) load_values(step.codes + t * kTile, values[t]);
    float logit[2][4], inverse[2][2];
    score(step, far, logit, inverse);
    uint2 weight[2];
    weigh(logit, inverse, weight);
    for (int t = 0; t < 2; ++t)
      for (int piece = 0; piece < kPieces; ++piece) {
        const uint2(&v)[4] = values[t][piece];
        add_values<0>(piece, v[0].x, v[1].x, v[2].x, v[3].x, weight[t]);
        add_values<2>(piece, v[0].y, v[1].y, v[2].y, v[3].y, weight[t]);
      }
  }

  // Codes of the values of the tile's tokens 2c, 2c + 1, 2c + 8 and 2c + 9.
  __device__ void load_values(const unsigned* codes, uint2 (&values)[kPieces][4]) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const uint2 at = *reinterpret_cast<const uint2*>(codes + 2 * c_ + 8 * i);
#pragma unroll
      for (int piece = 0; piece < kPieces; ++piece) {
        values[piece][2 * i] = *reinterpret_cast<const uint2*>(own_v_ + at.x + 8 * piece);
        values[piece][2 * i + 1] = *reinterpret_cast<const uint2*>(own_v_ + at.y + 8 * piece);
      }
    }
  }

  // Eight dimensions of both halves of a key, as codes and as fp16.
  struct Codes {
    uint2 low, high;
  };
  struct Key {
    uint32_t low[4], high[4];
  };

  __device__ Codes load_key(unsigned at, int piece) const {
    const int8_t* from = own_k_ + at + 8 * piece;
    return {*reinterpret_cast<const uint2*>(from), *reinterpret_cast<const uint2*>(from + kHalf)};
  }

  __device__ static Key unpacked(const Codes& codes) {
    Key key;
    codes_as_halves(codes.low.x, key.low[0], key.low[1]);
    codes_as_halves(codes.low.y, key.low[2], key.low[3]);
    codes_as_halves(codes.high.x, key.high[0], key.high[1]);
    codes_as_halves(codes.high.y, key.high[2], key.high[3]);
    return key;
  }

  __device__ void turn(Key& key, unsigned at, int piece) const {
    const uint4 cos = *reinterpret_cast<const uint4*>(own_turns_ + at + 8 * piece);
    const uint4 sin = *reinterpret_cast<const uint4*>(own_turns_ + at + 8 * piece + kHalf);
    turn_halves(key.low[0], key.high[0], cos.x, sin.x);
    turn_halves(key.low[1], key.high[1], cos.y, sin.y);
    turn_halves(key.low[2], key.high[2], cos.z, sin.z);
    turn_halves(key.low[3], key.high[3], cos.w, sin.w);
  }

  __device__ void multiply_keys(const Key (&keys)[2], const uint2 (*q)[32], int piece,
                                float (&sum)[4]) const {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const uint32_t left[4] = {keys[0].low[e], keys[1].low[e], keys[0].high[e], keys[1].high[e]};
      multiply(sum, left, q[4 * piece + e][lane_]);
    }
  }

  // Logits of base 2 of the lane's tokens and heads, with the logs of the values' scales.
  __device__ void score(const Step& step, unsigned far, float (&logit)[2][4],
                        float (&inverse)[2][2]) const {
    float near[2][4] = {}, distant[2][4] = {};
    Token token[2][2];
    for (int t = 0; t < 2; ++t)
      for (int r = 0; r < 2; ++r) token[t][r] = step.tokens[t * kTile + 8 * r + g_];
#pragma unroll
    for (int piece = 0; piece < kPieces; ++piece) {
      Codes codes[2][2];
      for (int t = 0; t < 2; ++t)
        for (int r = 0; r < 2; ++r)
          codes[t][r] = load_key(step.codes[t * kTile + 8 * r + g_], piece);
      if (far != 0)
        for (int t = 0; t < 2; ++t)
          multiply_keys({unpacked(codes[t][0]), unpacked(codes[t][1])}, memory_.q[1], piece,
                        distant[t]);
      if (far != ~0u)
        for (int t = 0; t < 2; ++t) {
          Key keys[2] = {unpacked(codes[t][0]), unpacked(codes[t][1])};
          for (int r = 0; r < 2; ++r) turn(keys[r], token[t][r].turns, piece);
          multiply_keys(keys, memory_.q[0], piece, near[t]);
        }
    }
    for (int t = 0; t < 2; ++t)
      for (int r = 0; r < 2; ++r) {
        const bool is_far = far >> (t * kTile + 8 * r + g_) & 1;
        inverse[t][r] = token[t][r].value_inverse;
        for (int h = 0; h < 2; ++h)
          logit[t][2 * r + h] =
              (is_far ? distant[t][2 * r + h] : near[t][2 * r + h]) * token[t][r].to_logit +
              token[t][r].value_log;
      }
  }

  // Moves the running maxima, adds to the sums, and returns the weights as right fragments.
  template <int kTiles>
  __device__ void weigh(const float (&logit)[kTiles][4], const float (&inverse)[kTiles][2],
                        uint2 (&weight)[kTiles]) {
    float top[2];
    for (int h = 0; h < 2; ++h) {
      top[h] = most_[h];
      for (int t = 0; t < kTiles; ++t) top[h] = fmaxf(top[h], fmaxf(logit[t][h], logit[t][2 + h]));
      for (int step = 4; step < 32; step *= 2)
        top[h] = fmaxf(top[h], __shfl_xor_sync(kAllLanes, top[h], step));
    }
    if (__any_sync(kAllLanes, top[0] > most_[0] || top[1] > most_[1])) fade(top);
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      uint32_t pair[2];
      for (int r = 0; r < 2; ++r) {
        const float first = power_of_two(logit[t][2 * r] - most_[0]);
        const float second = power_of_two(logit[t][2 * r + 1] - most_[1]);
        sum_[0] += first * inverse[t][r];
        sum_[1] += second * inverse[t][r];
        pair[r] = transposed(as_halves(first, second));
      }
      weight[t] = make_uint2(pair[0], pair[1]);
    }
  }

  __device__ void fade(const float (&top)[2]) {
    const float by[2] = {power_of_two(most_[0] - top[0]), power_of_two(most_[1] - top[1])};
    for (int h = 0; h < 2; ++h) most_[h] = top[h], sum_[h] *= by[h];
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
      for (int e = 0; e < 4; ++e) out_[i][e] *= by[e % 2];
  }

  // Four dimensions of the lane's four tokens, a word of codes each.
  template <int kFirst>
  __device__ void add_values(int piece, uint32_t a, uint32_t b, uint32_t c, uint32_t d,
                             uint2 weight) {
    uint32_t lower[4], upper[4];
    codes_side_by_side(a, b, lower);
    codes_side_by_side(c, d, upper);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const uint32_t left[4] = {lower[2 * i], lower[2 * i + 1], upper[2 * i], upper[2 * i + 1]};
      multiply(out_[4 * piece + kFirst + i], left, weight);
    }
  }

  __device__ void multiply_sinks(const Bf16* keys, const int (&own)[2], const uint2 (*q)[32],
                                 float (&sum)[4]) const {
    for (int s = 0; s < kDim / 16; ++s) {
      uint32_t left[4];
      for (int i = 0; i < 4; ++i) {
        const Bf16* row = keys + at_row(own[i % 2]) * kDim + i / 2 * kHalf + c_ * kOwn + 2 * s;
        const uint32_t pair = *reinterpret_cast<const uint32_t*>(row);
        left[i] = as_halves(low_bf16(pair), high_bf16(pair));
      }
      multiply(sum, left, q[s][lane_]);
    }
  }

  __device__ void add_sinks(int base, int n, uint2 weight) {
    const Bf16* from[4];
    for (int i = 0; i < 4; ++i) {
      const int j = min(base + 2 * c_ + (i & 1) + 4 * (i & 2), n - 1);
      from[i] = p_.sink_v + at_row(j) * kDim + g_ * kOwn;
    }
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) {
      uint32_t pair[4];
      for (int j = 0; j < 4; ++j) pair[j] = *reinterpret_cast<const uint32_t*>(from[j] + 2 * i);
      const uint32_t left[4] = {as_halves(low_bf16(pair[0]), low_bf16(pair[1])),
                                as_halves(high_bf16(pair[0]), high_bf16(pair[1])),
                                as_halves(low_bf16(pair[2]), low_bf16(pair[3])),
                                as_halves(high_bf16(pair[2]), high_bf16(pair[3]))};
      multiply(out_[i], left, weight);
    }
  }

  const GatheredAttention& p_;
  WarpMemory<kDim>& memory_;
  int64_t token_, position_;
  int head_, n_heads_, kv_head_, lane_, g_, c_;
  const int8_t *own_k_, *own_v_;  // with the lane's first dimension
  const uint16_t* own_turns_;
  float most_[2] = {kNoLogit, kNoLogit}, sum_[2] = {};  // of the lane's heads, sums of its tokens
  float out_[kDim / 16][4] = {};                        // dimension 2i of both heads, then 2i + 1
};

template <int kDim>
__global__ void __launch_bounds__(kWarps * 32, kDim == 64 ? 3 : 2)
    gathered_kernel(const __grid_constant__ GatheredAttention p, int n_heads) {
  __shared__ WarpMemory<kDim> memory[kWarps];
  const int warp = threadIdx.x / 32;
  const unsigned n_groups = p.n_heads / n_heads, work = blockIdx.x * kWarps + warp;
  const int64_t token = work / n_groups;
  if (token >= p.n) return;
  Reader<kDim> reader(p, memory[warp], token, static_cast<int>(work % n_groups) * n_heads, n_heads);
  if (p.selected != nullptr) reader.read_selected();
  reader.read_sinks();
  reader.join_window_and_write();
}

template <int kDim>
void launch(const GatheredAttention& p, Stream stream) {
  int n_heads = std::min(kMostHeads, p.n_heads / p.n_kv_heads);
  while (p.n_heads / p.n_kv_heads % n_heads != 0) --n_heads;
  const int64_t work = p.n * (p.n_heads / n_heads);
  const auto blocks = static_cast<unsigned>((work + kWarps - 1) / kWarps);
  gathered_kernel<kDim><<<blocks, kWarps * 32, 0, stream>>>(p, n_heads);
  check_launch("gathered_attention");
}

}  // namespace

void gathered_attention(const GatheredAttention& p, Stream stream) {
  DSRASQ_CHECK(p.ring.capacity * p.n_kv_heads * p.head_dim <= UINT32_MAX, kInternal, "cuda",
               "gathered_attention: ", p.ring.capacity, " rows of ", p.n_kv_heads, " heads");
  switch (p.head_dim) {
    case 64: launch<64>(p, stream); break;
    case 128: launch<128>(p, stream); break;
    case 256: launch<256>(p, stream); break;
    default:
      throw Error(ErrorCode::kInternal, "cuda",
                  concat("gathered_attention: head size ", p.head_dim));
  }
}

}  // namespace dsrasq::cuda
