#pragma once

// A JSON value that knows where it stands, so that every complaint names the file and the field.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace dsrasq::text {

/// Parses `text`; kBadInput naming `file` and the byte when it is not JSON.
nlohmann::json parse_json(const std::string& text, std::string_view file);

/// Refers to a value that must outlive it. What is not as asked throws kBadInput.
class JsonView {
 public:
  JsonView(const nlohmann::json& value, std::string file)
      : value_(&value), file_(std::move(file)) {}

  /// The member `key` of an object; nothing when it is absent or null, or this is no object.
  std::optional<JsonView> find(const char* key) const;
  /// The same, but it must be there.
  JsonView at(const char* key) const;
  /// How many items an array has.
  size_t size() const;
  JsonView operator[](size_t index) const;

  bool is_null() const;
  bool is_array() const;
  bool is_object() const;
  bool is_string() const;
  const std::string& string() const;
  bool boolean() const;
  /// A whole number from `least` to `most`.
  int64_t integer(int64_t least, int64_t most) const;
  double number() const;
  const nlohmann::json& value() const { return *value_; }

  [[noreturn]] void fail(std::string_view what) const;

 private:
  std::string place() const;

  const nlohmann::json* value_;
  std::string file_;
  std::string path_;  // e.g. model.merges[3]; empty for the whole file
};

}  // namespace dsrasq::text
