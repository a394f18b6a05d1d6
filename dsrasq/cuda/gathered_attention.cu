#include "dsrasq/cuda/check.h"
#include "dsrasq/cuda/gathered_attention.h"
#include "dsrasq/cuda/warp.cuh"

namespace dsrasq::cuda {
namespace {

constexpr int kWarps = 4;
constexpr float kLog2e = 1.44269504f;
constexpr float kNoLogit = -1e30f;  // finite, so that differences are

// A warp reads for one query and kRep of its heads, which share a KV head. Keys go by lane: each
// lane scores another token. Values go by dimension: kLanes lanes hold a token's, kOwn values each.
template <int kDim, int kRep>
struct Sizes {
  static constexpr int kLanes = kDim / 4 < 32 ? kDim / 4 : 32;
  static constexpr int kOwn = kDim / kLanes;
  static constexpr int kTokens = 32 / kLanes;  // whose values are read at once
};

template <int kDim, int kRep>
struct WarpMemory {
  float q[2][kRep][kDim];  // times the scale: as rotated, and for far tokens
  float weight[kRep][32];
  int row[32];
};

template <int kDim, int kRep>
class Reader {
  using S = Sizes<kDim, kRep>;
  static constexpr int kHalf = kDim / 2;

 public:
  __device__ Reader(const GatheredAttention& p, WarpMemory<kDim, kRep>& memory, int64_t token,
                    int head, int lane)
      : p_(p),
        memory_(memory),
        token_(token),
        position_(p.first + token),
        head_(head),
        g_(head / (p.n_heads / p.n_kv_heads)),
        lane_(lane) {
    for (int r = 0; r < kRep; ++r)
      for (int c = lane; c < kDim; c += 32) {
        memory.q[0][r][c] = to_float(p.q[at_head(r) * kDim + c]) * p.scale;
        memory.q[1][r][c] = to_float(p.q_far[at_head(r) * kDim + c]) * p.scale;
      }
    __syncwarp();
  }

  __device__ void read_selected() {
    const int n = p_.n_selected[token_];
    const int own_row = static_cast<int>(position_ % p_.ring.capacity);
    for (int base = 0; base < n; base += 32) {
      const bool is_one = base + lane_ < n;
      const int row = p_.selected[token_ * p_.k + (is_one ? base + lane_ : base)];
      int distance = own_row - row;
      if (distance < 0) distance += static_cast<int>(p_.ring.capacity);
      float logit[kRep];
      score(row, distance >= p_.d_max, logit);
      const float v_scale = p_.ring.v_scale[at_row(row)];
      for (int r = 0; r < kRep; ++r) {
        logit[r] = is_one ? logit[r] * kLog2e : -INFINITY;
        const float weight = join(r, warp_max(logit[r]), logit[r]);
        sum_[r] += weight;
        memory_.weight[r][lane_] = weight * v_scale;
      }
      memory_.row[lane_] = row;
      __syncwarp();
      add_values(min(32, n - base));
      __syncwarp();
    }
    for (int r = 0; r < kRep; ++r) {
      sum_[r] = warp_sum(sum_[r]);
      for (int step = S::kLanes; step < 32; step *= 2)
        for (int e = 0; e < S::kOwn; ++e)
          out_[r][e] += __shfl_xor_sync(kAllLanes, out_[r][e], step);
    }
  }

  // After read_selected: all lanes know the sums, and every group of lanes the whole output.
  __device__ void read_sinks() {
    for (int64_t j = 0; j < p_.n_sinks && j <= position_ - p_.window; ++j) {
      const bool is_far = position_ - j >= p_.d_max;
      const int64_t at = (j * p_.n_kv_heads + g_) * kDim;
      const Bf16* key = (is_far ? p_.sink_k : p_.sink_k_rotated) + at;
      for (int r = 0; r < kRep; ++r) {
        float dot = 0;
        for (int c = lane_; c < kDim; c += 32) dot += memory_.q[is_far][r][c] * to_float(key[c]);
        const float logit = warp_sum(dot) * kLog2e;
        const float weight = join(r, logit, logit);
        sum_[r] += weight;
        for (int e = 0; e < S::kOwn; ++e)
          out_[r][e] += weight * to_float(p_.sink_v[at + first_dim() + e]);
      }
    }
  }

  __device__ void join_window_and_write() {
    for (int r = 0; r < kRep; ++r) {
      const float mass = p_.window_mass[(head_ + r) * p_.n + token_] * kLog2e;
      const float share = join(r, mass, mass);
      const float inverse = 1 / (sum_[r] + share);
      if (lane_ >= S::kLanes) continue;
      const int64_t at = at_head(r) * kDim + first_dim();
      for (int e = 0; e < S::kOwn; ++e)
        p_.out[at + e] = to_bf16((out_[r][e] + share * to_float(p_.window_out[at + e])) * inverse);
    }
  }

 private:
  __device__ int64_t at_head(int r) const { return token_ * p_.n_heads + head_ + r; }
  __device__ int64_t at_row(int row) const {
    return static_cast<int64_t>(row) * p_.n_kv_heads + g_;
  }
  __device__ int first_dim() const { return lane_ % S::kLanes * S::kOwn; }

  // Moves a head's running maximum up to `most` and returns the weight of a logit (of base 2).
  __device__ float join(int r, float most, float logit) {
    const float top = fmaxf(most_[r], most);
    const float fade = exp2f(most_[r] - top);
    most_[r] = top;
    sum_[r] *= fade;
    for (int e = 0; e < S::kOwn; ++e) out_[r][e] *= fade;
    return exp2f(logit - top);
  }

  // The lane's token against all heads.
  __device__ void score(int row, bool is_far, float (&logit)[kRep]) const {
    const int8_t* key = p_.ring.k + at_row(row) * kDim;
    const float* cos = p_.ring.cos + static_cast<int64_t>(row) * kHalf;
    const float* sin = p_.ring.sin + static_cast<int64_t>(row) * kHalf;
    for (int r = 0; r < kRep; ++r) logit[r] = 0;
#pragma unroll 2
    for (int c = 0; c < kHalf; c += 8) {
      float low[8], high[8];
      load_codes(key + c, low);
      load_codes(key + kHalf + c, high);
      if (!is_far)
        for (int e = 0; e < 8; e += 4) {
          const float4 turn_c = *reinterpret_cast<const float4*>(cos + c + e);
          const float4 turn_s = *reinterpret_cast<const float4*>(sin + c + e);
          turn(low[e], high[e], turn_c.x, turn_s.x),
              turn(low[e + 1], high[e + 1], turn_c.y, turn_s.y);
          turn(low[e + 2], high[e + 2], turn_c.z, turn_s.z);
          turn(low[e + 3], high[e + 3], turn_c.w, turn_s.w);
        }
      for (int r = 0; r < kRep; ++r) {
        const float* q = memory_.q[is_far][r] + c;
        for (int e = 0; e < 8; ++e) logit[r] += q[e] * low[e] + q[kHalf + e] * high[e];
      }
    }
    const float scale = p_.ring.k_scale[at_row(row)];
    for (int r = 0; r < kRep; ++r) logit[r] *= scale;
  }

  __device__ static void turn(float& low, float& high, float cos, float sin) {
    const float old = low;
    low = old * cos - high * sin;
    high = high * cos + old * sin;
  }

  __device__ static void load_codes(const int8_t* from, float (&out)[8]) {
    const uint2 words = *reinterpret_cast<const uint2*>(from);
    unpack_codes(words.x, out);
    unpack_codes(words.y, out + 4);
  }

  // Adds the weighted values of the n tokens at hand.
  __device__ void add_values(int n) {
#pragma unroll 4
    for (int first = 0; first < n; first += S::kTokens) {
      const int t = first + lane_ / S::kLanes;  // beyond n the weight is 0
      const int8_t* from = p_.ring.v + at_row(memory_.row[t]) * kDim + first_dim();
      float value[S::kOwn];
      for (int e = 0; e < S::kOwn; e += 4)
        unpack_codes(*reinterpret_cast<const uint32_t*>(from + e), value + e);
      for (int r = 0; r < kRep; ++r)
        for (int e = 0; e < S::kOwn; ++e) out_[r][e] += memory_.weight[r][t] * value[e];
    }
  }

  const GatheredAttention& p_;
  WarpMemory<kDim, kRep>& memory_;
  int64_t token_, position_;
  int head_, g_, lane_;
  float most_[kRep], sum_[kRep], out_[kRep][S::kOwn];

 public:
  __device__ void clear() {
    for (int r = 0; r < kRep; ++r) {
      most_[r] = kNoLogit, sum_[r] = 0;
      for (int e = 0; e < S::kOwn; ++e) out_[r][e] = 0;
    }
  }
};

template <int kDim, int kRep>
__global__ void __launch_bounds__(kWarps * 32) gathered_kernel(GatheredAttention p) {
  __shared__ WarpMemory<kDim, kRep> memory[kWarps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t work = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  const int n_groups = p.n_heads / kRep;
  const int64_t token = work / n_groups;
  if (token >= p.n) return;
  Reader<kDim, kRep> reader(p, memory[warp], token, static_cast<int>(work % n_groups) * kRep, lane);
  reader.clear();
  if (p.selected != nullptr) reader.read_selected();
  reader.read_sinks();
  reader.join_window_and_write();
}

template <int kDim, int kRep>
void launch(const GatheredAttention& p, Stream stream) {
  const int64_t work = p.n * (p.n_heads / kRep);
  const auto blocks = static_cast<unsigned>((work + kWarps - 1) / kWarps);
  gathered_kernel<kDim, kRep><<<blocks, kWarps * 32, 0, stream>>>(p);
  check_launch("gathered_attention");
}

template <int kDim>
void launch(const GatheredAttention& p, Stream stream) {
  const int n_rep = p.n_heads / p.n_kv_heads;
  if (n_rep % 4 == 0)
    launch<kDim, 4>(p, stream);
  else if (n_rep % 3 == 0)
    launch<kDim, 3>(p, stream);
  else if (n_rep % 2 == 0)
    launch<kDim, 2>(p, stream);
  else
    launch<kDim, 1>(p, stream);
}

}  // namespace

void gathered_attention(const GatheredAttention& p, Stream stream) {
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
