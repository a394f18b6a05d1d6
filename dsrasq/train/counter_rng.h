#pragma once

// Random numbers that are a pure function of (seed, step, stream), so that a resumed run draws what
// an unbroken one would have drawn.

#include <cstdint>

namespace dsrasq::train {

/// SplitMix64 (Steele et al. 2014) from a state mixed out of the three numbers.
class CounterRng {
 public:
  CounterRng(uint64_t seed, uint64_t step, uint64_t stream)
      : state_(mix(mix(mix(seed) + step) + stream)) {}

  uint64_t next() { return mix(state_ += 0x9E3779B97F4A7C15ull); }
  /// Uniform in [0, n); n at least 1. The bias of the modulo is below 2^-40 for n below 2^24.
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }
  /// Uniform in [first, last].
  int64_t between(int64_t first, int64_t last) { return first + below(last - first + 1); }
  /// Uniform in [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

}  // namespace dsrasq::train
