#pragma once

// The options of a command, each listed once: flags, --help, the configuration file and the JSON
// dump are all made from the list that a configuration's `visit` fills.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace dsrasq::cli {

/// A number of bytes that people write as 512M, 2GiB or 1.5g (always powers of 1,024).
struct ByteSize {
  uint64_t bytes = 0;
};

/// Throws kInvalidArgument, quoting the text, when it is not a size or does not fit 64 bits.
ByteSize parse_byte_size(const std::string& text);
/// Short and for people: "226 MiB", "1.50 GiB", "817 B".
std::string format_bytes(uint64_t bytes);

/// One option. A name in capitals is a positional argument; its key elsewhere is in small letters.
struct Field {
  using Value = std::variant<bool*, int*, int64_t*, uint64_t*, float*, double*, std::string*,
                             std::filesystem::path*, ByteSize*, std::vector<std::string>*,
                             std::vector<int64_t>*, std::vector<double>*>;
  Value value;
  std::string name;
  std::string help;

  bool is_positional() const { return name.front() >= 'A' && name.front() <= 'Z'; }
  bool is_flag() const { return std::holds_alternative<bool*>(value); }
  bool is_list() const;
  /// As in configuration files and JSON, e.g. "max-tokens".
  std::string key() const;
  /// As on the command line, e.g. "--max-tokens" or "QUESTION".
  std::string shown() const { return is_positional() ? name : "--" + name; }
  /// What --help calls the value: INT, NUMBER, TEXT, SIZE; empty for flags.
  std::string type_name() const;
  /// The value as people would type it; lists with commas.
  std::string text() const;
  /// Parses and stores. Lists of numbers also split at commas. Throws kInvalidArgument naming the
  /// option, what was given and what is wanted.
  void set(const std::vector<std::string>& texts) const;
  nlohmann::ordered_json json() const;
};

/// Collects fields: pass it to `visit`. The fields' owner must outlive the list.
class FieldList {
 public:
  template <class T>
  void operator()(T& value, const char* name, const char* help) {
    fields_.push_back({Field::Value(&value), name, help});
  }
  template <class Config>
  void add(Config& config) {
    config.visit(*this);
  }

  const std::vector<Field>& fields() const { return fields_; }
  /// The field with this key, or null.
  const Field* find(const std::string& key) const;
  /// Every field by its key: the resolved configuration.
  nlohmann::ordered_json json() const;
  /// Writes it beside the result at `path`: PATH.config.json. Throws kOutput.
  void write_beside(const std::string& path) const;

 private:
  std::vector<Field> fields_;
};

/// Writes what a command's configuration was resolved to beside its result.
template <class Config>
void write_config(const std::string& path, Config config) {
  FieldList fields;
  fields.add(config);
  fields.write_beside(path);
}

}  // namespace dsrasq::cli
