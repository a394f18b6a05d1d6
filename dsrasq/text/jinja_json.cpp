#include "dsrasq/text/jinja_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "dsrasq/text/jinja_builtins.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text::jinja {
namespace {

constexpr int kMaxWrittenDepth = 99;

Value convert(const nlohmann::ordered_json& json, int depth) {
  using Type = nlohmann::json::value_t;
  if (depth > kMaxWrittenDepth) fail("JSON is nested more than ", kMaxWrittenDepth, " deep");
  switch (json.type()) {
    case Type::boolean: return Value(json.get<bool>());
    case Type::number_integer: return Value(json.get<int64_t>());
    case Type::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX) fail("an integer does not fit 64 bits");
      return Value(json.get<int64_t>());
    case Type::number_float: return Value(json.get<double>());
    case Type::string: return Value(json.get_ref<const std::string&>());
    case Type::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(convert(item, depth + 1));
      return make_list(std::move(items));
    }
    case Type::object: {
      Dict dict;  // the parser made the keys unique
      for (const auto& [key, value] : json.items()) {
        dict.entries.emplace_back(Value(key), convert(value, depth + 1));
      }
      return make_dict(std::move(dict));
    }
    default: return None{};
  }
}

class JsonWriter {
 public:
  JsonWriter(Work& work, const JsonStyle& style) : work_(work), style_(style) {}

  std::string take() { return std::move(out_); }

  void write(const Value& value) {
    switch (value.kind()) {
      case Kind::kNone: return put("null");
      case Kind::kBool: return put(value.as_bool() ? "true" : "false");
      case Kind::kInt: return put(std::to_string(value.as_int()));
      case Kind::kFloat: return put(number(value.as_float()));
      case Kind::kString: return write_string(value.as_string());
      case Kind::kDict: return write_dict(value.as_dict());
      default: break;
    }
    if (!value.is_sequence(SequenceKind::kList) && !value.is_sequence(SequenceKind::kTuple)) {
      fail("an object of type ", type_name(value), " is not JSON serializable");
    }
    const auto& items = value.as_sequence().items;
    if (items.empty()) return put("[]");
    open("[");
    for (size_t i = 0; i < items.size(); ++i) {
      separate(i == 0);
      write(items[i]);
    }
    close("]");
  }

 private:
  static std::string number(double value) {
    if (std::isfinite(value)) return float_text(value);
    return std::isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
  }

  void put(std::string_view text) {
    work_.charge_text(out_, text.size());
    out_ += text;
  }

  void break_line() {
    if (!style_.indent) return;
    put("\n");
    for (int i = 0; i < depth_; ++i) put(*style_.indent);
  }

  void open(std::string_view bracket) {
    put(bracket);
    ++depth_;
  }

  void separate(bool is_first) {
    if (!is_first) put(style_.between_items);
    break_line();
  }

  void close(std::string_view bracket) {
    --depth_;
    break_line();
    put(bracket);
  }

  // The key as JSON has it: a string, whatever it was.
  std::string key_text(const Value& key) {
    switch (key.kind()) {
      case Kind::kString: return key.as_string();
      case Kind::kNone: return "null";
      case Kind::kBool: return key.as_bool() ? "true" : "false";
      case Kind::kInt: return std::to_string(key.as_int());
      case Kind::kFloat: return number(key.as_float());
      default: fail("keys of JSON must be strings or numbers, not ", type_name(key));
    }
  }

  void write_dict(const Dict& dict) {
    if (dict.entries.empty()) return put("{}");
    std::vector<const std::pair<Value, Value>*> entries;
    work_.charge_items(dict.entries.size());
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return is_less(work_, a->first, b->first);
      });
    }
    open("{");
    for (size_t i = 0; i < entries.size(); ++i) {
      separate(i == 0);
      write_string(key_text(entries[i]->first));
      put(style_.after_key);
      write(entries[i]->second);
    }
    close("}");
  }

  void write_string(std::string_view text) {
    constexpr std::string_view kSpecial = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
    work_.charge_text(out_, 2 * text.size() + 2);
    out_ += '"';
    for (size_t at = 0; at < text.size();) {
      const CodePoint found = read_code_point(text, at);
      const size_t special = kSpecial.find(text[at]);
      if (special != std::string_view::npos) {
        out_ += '\\';
        out_ += kLetters[special];
      } else if (found.value < 0x20 || (style_.ensure_ascii && found.value > 0x7E)) {
        write_escape(found.value);
      } else {
        out_ += text.substr(at, found.length);
      }
      at += found.length;
    }
    out_ += '"';
  }

  void write_escape(char32_t value) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    if (value > 0xFFFF) {  // as a surrogate pair
      write_escape(0xD800 + ((value - 0x10000) >> 10));
      value = 0xDC00 + ((value - 0x10000) & 0x3FF);
    }
    std::string escape = "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) escape += kDigits[value >> shift & 0xF];
    put(escape);
  }

  Work& work_;
  const JsonStyle& style_;
  std::string out_;
  int depth_ = 0;
};

}  // namespace

Value from_json(const nlohmann::ordered_json& json) { return convert(json, 0); }

std::string to_json(Work& work, const Value& value, const JsonStyle& style) {
  JsonWriter writer(work, style);
  writer.write(value);
  return writer.take();
}

}  // namespace dsrasq::text::jinja
