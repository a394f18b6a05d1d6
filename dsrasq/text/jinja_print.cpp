// How values print: Python's str() and repr().

#include <charconv>
#include <cmath>

#include "dsrasq/text/jinja_strings.h"
#include "dsrasq/text/jinja_value.h"

namespace dsrasq::text::jinja {
namespace {

class Printer {
 public:
  explicit Printer(Work& work) : work_(work) {}

  std::string take() { return std::move(out_); }

  void print(const Value& value) {
    switch (value.kind()) {
      case Kind::kUndefined: return put("Undefined");
      case Kind::kNone: return put("None");
      case Kind::kBool: return put(value.as_bool() ? "True" : "False");
      case Kind::kInt: return put(std::to_string(value.as_int()));
      case Kind::kFloat: return put(float_text(value.as_float()));
      case Kind::kString: return put_quoted(value.as_string());
      case Kind::kSequence: return put_sequence(value.as_sequence());
      case Kind::kDict: return put_dict(value.as_dict());
      case Kind::kNamespace: return put("<Namespace>");
      case Kind::kFunction: return put("<function " + value.as_function().name + ">");
      case Kind::kLoop: break;
    }
    Loop& loop = value.as_loop();
    put(concat("<LoopContext ", loop.index0 + 1, '/', loop.length(), '>'));
  }

 private:
  void put(std::string_view text) {
    work_.charge_text(out_, text.size());
    out_ += text;
  }

  void put_quoted(std::string_view text) {
    work_.charge(text.size());
    put(quoted(text));
  }

  void put_items(const std::vector<Value>& items) {
    std::string_view between;
    for (const Value& item : items) {
      put(between);
      print(item);
      between = ", ";
    }
  }

  void put_sequence(const Sequence& sequence) {
    if (!sequence.label.empty()) return put(sequence.label);
    const SequenceKind kind = sequence.kind;
    const bool is_tuple = kind == SequenceKind::kTuple;
    put(kind == SequenceKind::kKeys     ? "dict_keys(["
        : kind == SequenceKind::kValues ? "dict_values(["
        : kind == SequenceKind::kItems  ? "dict_items(["
        : is_tuple                      ? "("
                                        : "[");
    put_items(sequence.items);
    if (is_tuple && sequence.items.size() == 1) put(",");
    put(is_tuple ? ")" : kind == SequenceKind::kList ? "]" : "])");
  }

  void put_dict(const Dict& dict) {
    std::string_view between;
    put("{");
    for (const auto& [key, value] : dict.entries) {
      put(between);
      print(key);
      put(": ");
      print(value);
      between = ", ";
    }
    put("}");
  }

  Work& work_;
  std::string out_;
};

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char digits[32];
  // Python writes exponents below -4 and from 16.
  const double size = std::fabs(value);
  const bool is_plain = value == 0 || (size >= 1e-4 && size < 1e16);
  const auto form = is_plain ? std::chars_format::fixed : std::chars_format::scientific;
  std::string text(digits, std::to_chars(digits, digits + sizeof digits, value, form).ptr);
  if (is_plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string to_text(Work& work, const Value& value) {
  if (value.is(Kind::kUndefined)) return {};
  if (value.is(Kind::kString)) {
    work.charge(value.as_string().size());
    return value.as_string();
  }
  return to_repr(work, value);
}

std::string to_repr(Work& work, const Value& value) {
  Printer printer(work);
  printer.print(value);
  return printer.take();
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return "Undefined";
    case Kind::kNone: return "NoneType";
    case Kind::kBool: return "bool";
    case Kind::kInt: return "int";
    case Kind::kFloat: return "float";
    case Kind::kString: return "str";
    case Kind::kDict: return "dict";
    case Kind::kNamespace: return "Namespace";
    case Kind::kFunction: return "function";
    case Kind::kLoop: return "LoopContext";
    case Kind::kSequence: break;
  }
  switch (value.as_sequence().kind) {
    case SequenceKind::kList: return "list";
    case SequenceKind::kTuple: return "tuple";
    case SequenceKind::kRange: return "range";
    case SequenceKind::kKeys: return "dict_keys";
    case SequenceKind::kValues: return "dict_values";
    case SequenceKind::kItems: return "dict_items";
    case SequenceKind::kIterator: break;
  }
  return "generator";
}

}  // namespace dsrasq::text::jinja
