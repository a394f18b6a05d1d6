#pragma once

// Checksums and fingerprints (not cryptographic).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace dsrasq {

/// CRC-32C (Castagnoli) of the bytes, continuing from `crc`.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t crc = 0);

/// A running 64-bit fingerprint: eight bytes a step, mixed as in SplitMix64.
class Fingerprint {
 public:
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }
  void add(uint64_t value);
  uint64_t value() const { return state_; }
  /// 16 lower-case hex digits.
  std::string hex() const;

 private:
  uint64_t state_ = 0x9E3779B97F4A7C15ull;
};

}  // namespace dsrasq
