#include "dsrasq/formats/safetensors.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/byte_reader.h"

namespace dsrasq::formats {
namespace {

constexpr const char* kInSafetensors = "formats.safetensors";
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxDims = 8;
constexpr const char* kMetadataKey = "__metadata__";

struct DtypeRow {
  Dtype dtype;
  const char* name;
  int64_t bytes;
};
constexpr std::array kDtypes{DtypeRow{Dtype::kF32, "F32", 4},   DtypeRow{Dtype::kF16, "F16", 2},
                             DtypeRow{Dtype::kBF16, "BF16", 2}, DtypeRow{Dtype::kI8, "I8", 1},
                             DtypeRow{Dtype::kU8, "U8", 1},     DtypeRow{Dtype::kI32, "I32", 4},
                             DtypeRow{Dtype::kI64, "I64", 8}};

const DtypeRow& row_of(Dtype dtype) {
  return *std::find_if(kDtypes.begin(), kDtypes.end(),
                       [&](const DtypeRow& row) { return row.dtype == dtype; });
}

/// Bytes of a tensor of that shape, or nothing when no file could hold them.
std::optional<uint64_t> tensor_bytes(Dtype dtype, const std::vector<int64_t>& shape) {
  int64_t n = dtype_bytes(dtype);
  for (const int64_t dim : shape) {
    if (dim < 0 || __builtin_mul_overflow(n, dim, &n)) return std::nullopt;
  }
  return static_cast<uint64_t>(n);
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t dim : shape) text += concat(text.size() > 1 ? ", " : "", dim);
  return text + "]";
}

/// Reads the header as it is parsed, so that nothing is stored that has no place in it. Duplicate
/// names, which a parsed JSON object would swallow, are seen.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(std::string file, std::span<const std::byte> data)
      : file_(std::move(file)), data_(data) {}

  std::vector<NamedTensor> tensors;
  Metadata metadata;

  bool start_object(size_t) override {
    if (depth_ == 2 || in_array_) fail_place("an object");
    if (++depth_ == 2) {
      tensor_ = {};
      dtype_name_.clear();
      offsets_.clear();
      has_shape_ = false;
    }
    return true;
  }
  bool key(string_t& name) override {
    (depth_ == 1 ? name_ : field_) = name;
    if (depth_ == 1 && !names_.insert(name).second) fail(quoted_text(name), " is there twice");
    return true;
  }
  bool end_object() override {
    if (depth_-- == 2 && !in_metadata()) finish_tensor();
    return true;
  }
  bool string(string_t& text) override {
    if (depth_ == 2 && in_metadata()) {
      if (!metadata.emplace(field_, text).second) {
        fail("metadata ", quoted_text(field_), " is there twice");
      }
    } else if (depth_ == 2 && !in_array_ && field_ == "dtype") {
      dtype_name_ = text;
    } else {
      fail_place("a string");
    }
    return true;
  }
  bool start_array(size_t) override {
    const bool is_shape = field_ == "shape" && !has_shape_;
    const bool is_offsets = field_ == "data_offsets" && offsets_.empty();
    if (depth_ != 2 || in_array_ || in_metadata() || !(is_shape || is_offsets)) {
      fail_place("an array");
    }
    has_shape_ |= is_shape;
    in_array_ = true;
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) fail_place("a number");
    if (field_ == "shape") {
      if (tensor_.shape.size() == kMaxDims || value > INT64_MAX) fail_place("such a dimension");
      tensor_.shape.push_back(static_cast<int64_t>(value));
    } else {
      if (offsets_.size() == 2) fail_place("a third offset");
      offsets_.push_back(value);
    }
    return true;
  }
  bool number_integer(number_integer_t) override { fail_place("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { fail_place("a fraction"); }
  bool boolean(bool) override { fail_place("a bool"); }
  bool null() override { fail_place("null"); }
  bool binary(binary_t&) override { fail_place("binary"); }
  bool parse_error(size_t at, const std::string&, const nlohmann::json::exception&) override {
    fail("header is no JSON object (byte ", at, " of it)");
  }

 private:
  bool in_metadata() const { return name_ == kMetadataKey; }

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw Error(ErrorCode::kBadInput, kInSafetensors, concat(file_, ": ", parts...));
  }
  [[noreturn]] void fail_place(const char* what) const {
    fail("header has ", what, " where none may be, at ", quoted_text(name_), ' ',
         quoted_text(field_));
  }

  void finish_tensor() {
    const std::string tensor = "tensor " + quoted_text(name_);
    if (dtype_name_.empty() || !has_shape_ || offsets_.size() != 2) {
      fail(tensor, " lacks its dtype, shape or data_offsets");
    }
    const auto row = std::find_if(kDtypes.begin(), kDtypes.end(),
                                  [&](const DtypeRow& known) { return dtype_name_ == known.name; });
    if (row == kDtypes.end()) {
      fail(tensor, " has dtype ", quoted_text(dtype_name_),
           "; supported are F32, F16, BF16, I8, U8, I32, I64");
    }
    if (offsets_[0] > offsets_[1] || offsets_[1] > data_.size()) {
      fail(tensor, " lies at bytes ", offsets_[0], " to ", offsets_[1], " of data that has ",
           data_.size());
    }
    tensor_.name = name_;
    tensor_.dtype = row->dtype;
    tensor_.bytes = data_.subspan(offsets_[0], offsets_[1] - offsets_[0]);
    if (tensor_bytes(tensor_.dtype, tensor_.shape) != tensor_.bytes.size()) {
      fail(tensor, " of ", row->name, ' ', shape_text(tensor_.shape), " has ", tensor_.bytes.size(),
           " bytes");
    }
    tensors.push_back(std::move(tensor_));
  }

  std::string file_;
  std::span<const std::byte> data_;
  std::set<std::string> names_;
  int depth_ = 0;
  bool in_array_ = false;
  std::string name_, field_;  // the key at depth 1 and at depth 2
  NamedTensor tensor_;
  std::string dtype_name_;
  std::vector<uint64_t> offsets_;
  bool has_shape_ = false;
};

}  // namespace

const char* dtype_name(Dtype dtype) { return row_of(dtype).name; }
int64_t dtype_bytes(Dtype dtype) { return row_of(dtype).bytes; }

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  ByteReader reader(file_.bytes(), path.string(), kInSafetensors);
  const auto header_bytes = reader.read<uint64_t>("the header's length");
  if (header_bytes > kMaxHeaderBytes) {
    reader.fail(concat("is not a safetensors file, or has a header of ", header_bytes,
                       " bytes; at most ", kMaxHeaderBytes, " are read"));
  }
  const auto header = reader.take_text(header_bytes, "the header");
  if (!header.starts_with('{')) reader.fail("header is no JSON object");
  read_header(header, reader.take(reader.remaining(), "the data"));
}

void SafetensorsFile::read_header(std::string_view header, std::span<const std::byte> data) {
  HeaderReader sax(path().string(), data);
  nlohmann::json::sax_parse(header.begin(), header.end(), &sax);
  metadata_ = std::move(sax.metadata);
  tensors_ = std::move(sax.tensors);
  check_coverage(data);
  std::sort(tensors_.begin(), tensors_.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
}

// Every byte of the data belongs to exactly one tensor: the rule of the format that keeps a file
// from hiding something, or from being small and expanding to much.
void SafetensorsFile::check_coverage(std::span<const std::byte> data) {
  std::sort(tensors_.begin(), tensors_.end(), [](const NamedTensor& a, const NamedTensor& b) {
    return a.bytes.data() != b.bytes.data() ? a.bytes.data() < b.bytes.data()
                                            : a.bytes.size() < b.bytes.size();
  });
  const std::byte* end = data.data();
  for (const NamedTensor& tensor : tensors_) {
    DSRASQ_CHECK(tensor.bytes.empty() || tensor.bytes.data() == end, kBadInput, kInSafetensors,
                 path().string(), ": tensor ", quoted_text(tensor.name),
                 " does not start where the one before it ends, at byte ", end - data.data(),
                 " of the data");
    end += tensor.bytes.size();
  }
  DSRASQ_CHECK(end == data.data() + data.size(), kBadInput, kInSafetensors, path().string(),
               ": has ", data.size(), " bytes of data, but its tensors only take ",
               end - data.data());
}

const NamedTensor* SafetensorsFile::find(std::string_view name) const {
  const auto at = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const NamedTensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

const NamedTensor& SafetensorsFile::require(std::string_view name) const {
  const NamedTensor* tensor = find(name);
  DSRASQ_CHECK(tensor != nullptr, kBadInput, kInSafetensors, path().string(), ": has no tensor ",
               quoted_text(name));
  return *tensor;
}

void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const Metadata& metadata) {
  // Wide types first: then every tensor is aligned to its own type, since the header is to eight.
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    const int64_t a_bytes = dtype_bytes(a->dtype), b_bytes = dtype_bytes(b->dtype);
    return a_bytes != b_bytes ? a_bytes > b_bytes : a->name < b->name;
  });
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  uint64_t offset = 0;
  for (const NamedTensor* tensor : order) {
    const std::string name = "tensor " + quoted_text(tensor->name);
    DSRASQ_CHECK(
        !tensor->name.empty() && tensor->name != kMetadataKey && !header.contains(tensor->name),
        kInvalidArgument, kInSafetensors, name, " cannot be stored under that name");
    DSRASQ_CHECK(tensor_bytes(tensor->dtype, tensor->shape) == tensor->bytes.size() &&
                     tensor->shape.size() <= kMaxDims,
                 kInvalidArgument, kInSafetensors, name, " of ", dtype_name(tensor->dtype), ' ',
                 shape_text(tensor->shape), " has ", tensor->bytes.size(), " bytes");
    header[tensor->name] = {{"dtype", dtype_name(tensor->dtype)},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + tensor->bytes.size()}}};
    offset += tensor->bytes.size();
  }
  using Replace = nlohmann::json::error_handler_t;
  std::string text = header.dump(-1, ' ', false, Replace::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t header_bytes = text.size();
  AtomicFileWriter writer(path);
  writer.write(std::as_bytes(std::span(&header_bytes, 1)));
  writer.write(text);
  for (const NamedTensor* tensor : order) writer.write(tensor->bytes);
  writer.commit();
}

}  // namespace dsrasq::formats
