#include "dsrasq/text/json_view.h"

#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"

namespace dsrasq::text {
namespace {

constexpr const char* kInJsonView = "text.tokenizer";
constexpr int kMaxJsonDepth = 64;

// Brackets outside strings must not nest deeply: trees are walked by recursion.
void check_depth(std::string_view text, std::string_view file) {
  int depth = 0;
  bool in_string = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string && c == '\\') ++at;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    DSRASQ_CHECK(depth <= kMaxJsonDepth, kBadInput, kInJsonView, file, ": nests deeper than ",
                 kMaxJsonDepth, " at byte ", at);
  }
}

}  // namespace

nlohmann::json parse_json(const std::string& text, std::string_view file) {
  check_depth(text, file);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    throw Error(ErrorCode::kBadInput, kInJsonView, concat(file, ": not JSON at byte ", e.byte));
  } catch (const nlohmann::json::out_of_range&) {
    throw Error(ErrorCode::kBadInput, kInJsonView, concat(file, ": holds a number past all range"));
  }
}

std::optional<JsonView> JsonView::find(const char* key) const {
  if (!value_->is_object()) return std::nullopt;
  const auto member = value_->find(key);
  if (member == value_->end() || member->is_null()) return std::nullopt;
  JsonView view(*member, file_);
  view.path_ = path_.empty() ? key : path_ + "." + key;
  return view;
}

JsonView JsonView::at(const char* key) const {
  if (!value_->is_object()) fail("is no object");
  if (auto found = find(key)) return *std::move(found);
  fail(concat("lacks \"", key, '"'));
}

size_t JsonView::size() const {
  if (!value_->is_array()) fail("is no array");
  return value_->size();
}

JsonView JsonView::operator[](size_t index) const {
  if (index >= size()) fail(concat("has only ", size(), " items"));
  JsonView view((*value_)[index], file_);
  view.path_ = concat(path_, '[', index, ']');
  return view;
}

bool JsonView::is_null() const { return value_->is_null(); }
bool JsonView::is_array() const { return value_->is_array(); }
bool JsonView::is_object() const { return value_->is_object(); }
bool JsonView::is_string() const { return value_->is_string(); }

const std::string& JsonView::string() const {
  if (!value_->is_string()) fail("is no string");
  return value_->get_ref<const std::string&>();
}

bool JsonView::boolean() const {
  if (!value_->is_boolean()) fail("is neither true nor false");
  return value_->get<bool>();
}

int64_t JsonView::integer(int64_t least, int64_t most) const {
  const bool fits = value_->is_number_integer() &&
                    (!value_->is_number_unsigned() || value_->get<uint64_t>() <= INT64_MAX) &&
                    value_->get<int64_t>() >= least && value_->get<int64_t>() <= most;
  if (!fits) fail(concat("is no whole number from ", least, " to ", most));
  return value_->get<int64_t>();
}

double JsonView::number() const {
  if (!value_->is_number()) fail("is no number");
  return value_->get<double>();
}

std::string JsonView::place() const { return path_.empty() ? file_ : file_ + ": " + path_; }

void JsonView::fail(std::string_view what) const {
  throw Error(ErrorCode::kBadInput, kInJsonView, concat(place(), ' ', what));
}

}  // namespace dsrasq::text
