#pragma once

// A cursor over the bytes of a file that cannot be made to read past their end.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace dsrasq::formats {

/// Text from a file, fit for a message: other than printable ASCII escaped, cut at 80 bytes.
std::string printable_text(std::string_view text);
/// The same in quotes.
std::string quoted_text(std::string_view text);

/// Every failure is a kBadInput `[where] file: ...` that names the offset.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string file, const char* where)
      : bytes_(bytes), file_(std::move(file)), where_(where) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }

  /// The next `n` bytes, which are `what`.
  std::span<const std::byte> take(uint64_t n, std::string_view what) {
    if (n > remaining()) fail_short(n, what);
    const auto taken = bytes_.subspan(position_, n);
    position_ += n;
    return taken;
  }

  /// The next little-endian number.
  template <class T>
  T read(std::string_view what) {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  std::string_view take_text(uint64_t n, std::string_view what) {
    const auto taken = take(n, what);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  /// Throws kBadInput: the file, then `message`.
  [[noreturn]] void fail(std::string_view message) const;

 private:
  [[noreturn]] void fail_short(uint64_t n, std::string_view what) const;

  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
  std::string file_;
  const char* where_;
};

}  // namespace dsrasq::formats
