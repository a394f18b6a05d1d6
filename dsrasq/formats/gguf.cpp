#include "dsrasq/formats/gguf.h"

#include <bit>
#include <cstring>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/byte_reader.h"

namespace dsrasq::formats {
namespace {

constexpr const char* kInGguf = "formats.gguf";
constexpr uint64_t kDefaultAlignment = 32, kMaxAlignment = 1 << 20;
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint32_t kMaxDims = 4;
// The least that a value and a tensor can take: bounds the counts before anything is reserved.
constexpr uint64_t kMinValueBytes = 8 + 1 + 4 + 1, kMinTensorBytes = 8 + 1 + 4 + 4 + 8;

enum ValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

struct ValueTypeInfo {
  const char* name;
  uint64_t bytes;  // 0: not a number
};

constexpr ValueTypeInfo kValueTypes[] = {
    {"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8}};
constexpr uint32_t kNumValueTypes = std::size(kValueTypes);

template <class T>
T item(std::span<const std::byte> data, uint64_t index) {
  T value;
  std::memcpy(&value, data.data() + index * sizeof(T), sizeof(T));
  return value;
}

bool is_integer(uint32_t type) {
  return type <= kInt32 || type == kBool || type == kUint64 || type == kInt64;
}

/// Calls `use` with item `index` as its own C++ type, if `type` is an integer or a bool.
template <class Use>
void visit_integer(uint32_t type, std::span<const std::byte> data, uint64_t index, Use&& use) {
  switch (type) {
    case kBool:
    case kUint8: use(item<uint8_t>(data, index)); break;
    case kInt8: use(item<int8_t>(data, index)); break;
    case kUint16: use(item<uint16_t>(data, index)); break;
    case kInt16: use(item<int16_t>(data, index)); break;
    case kUint32: use(item<uint32_t>(data, index)); break;
    case kInt32: use(item<int32_t>(data, index)); break;
    case kUint64: use(item<uint64_t>(data, index)); break;
    case kInt64: use(item<int64_t>(data, index)); break;
    default: break;
  }
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path) : file_(path) {
  ByteReader reader(file_.bytes(), path.string(), kInGguf);
  read_header(reader);
  read_values(reader);
  read_tensors(reader);
}

void GgufFile::read_header(ByteReader& reader) {
  if (reader.remaining() < 4 || reader.take_text(4, "the magic") != "GGUF") {
    reader.fail("is not a GGUF file (does not start with \"GGUF\")");
  }
  version_ = reader.read<uint32_t>("the version");
  if (version_ != 0 && (version_ & 0xffff) == 0)
    reader.fail(
        "is a big-endian GGUF file; "
        "only little-endian files are supported");
  if (version_ != 2 && version_ != 3) {
    reader.fail(concat("has GGUF version ", version_, "; supported are 2 and 3"));
  }
  n_tensors_ = reader.read<uint64_t>("the tensor count");
  n_values_ = reader.read<uint64_t>("the key count");
  if (n_tensors_ > reader.remaining() / kMinTensorBytes) {
    reader.fail(concat("claims ", n_tensors_, " tensors, more than a file of ",
                       file_.bytes().size(), " bytes can hold"));
  }
  if (n_values_ > reader.remaining() / kMinValueBytes) {
    reader.fail(concat("claims ", n_values_, " keys, more than a file of ", file_.bytes().size(),
                       " bytes can hold"));
  }
}

void GgufFile::read_values(ByteReader& reader) {
  values_.reserve(n_values_);
  key_index_.reserve(n_values_);
  for (uint64_t i = 0; i < n_values_; ++i) {
    const uint64_t offset = reader.position();
    const auto key_bytes = reader.read<uint64_t>("a key's length");
    if (key_bytes == 0 || key_bytes > kMaxKeyBytes) {
      reader.fail(concat("key ", i, " at offset ", offset, " has a name of ", key_bytes,
                         " bytes, want 1 to ", kMaxKeyBytes));
    }
    Value value{};
    value.key = reader.take_text(key_bytes, "a key");
    read_value(reader, value);
    if (!key_index_.emplace(value.key, values_.size()).second) {
      reader.fail(concat("key ", quoted_text(value.key), " at offset ", offset, " is there twice"));
    }
    values_.push_back(value);
  }
}

void GgufFile::read_value(ByteReader& reader, Value& value) const {
  const auto fail = [&](const auto&... parts) {
    reader.fail(concat("key ", quoted_text(value.key), parts..., " (before offset ",
                       reader.position(), ")"));
  };
  value.type = reader.read<uint32_t>("a value's type");
  value.count = 1;
  if (value.type == kArray) {
    value.is_array = true;
    value.type = reader.read<uint32_t>("an array's item type");
    value.count = reader.read<uint64_t>("an array's length");
    if (value.type == kArray) fail(" is an array of arrays, which is not supported");
  }
  if (value.type >= kNumValueTypes) fail(" has unknown value type ", value.type);
  const uint64_t item_bytes = kValueTypes[value.type].bytes;
  if (value.count > reader.remaining() / (value.type == kString ? 8 : item_bytes)) {
    fail(" claims ", value.count, " items, more than the rest of the file can hold");
  }
  if (value.type != kString) {
    value.data = reader.take(value.count * item_bytes, "a value");
    if (value.type == kBool && !value.is_array && item<uint8_t>(value.data, 0) > 1) {
      fail(" is a bool that is neither 0 nor 1");
    }
    return;
  }
  const uint64_t start = reader.position();
  for (uint64_t i = 0; i < value.count; ++i) {
    reader.take(reader.read<uint64_t>("a string's length"), "a string");
  }
  value.data = file_.bytes().subspan(start, reader.position() - start);
}

void GgufFile::read_tensors(ByteReader& reader) {
  tensors_.reserve(n_tensors_);
  tensor_index_.reserve(n_tensors_);
  std::vector<uint64_t> offsets;
  offsets.reserve(n_tensors_);
  for (uint64_t i = 0; i < n_tensors_; ++i) {
    const uint64_t at = reader.position();
    const auto name_bytes = reader.read<uint64_t>("a tensor's name length");
    if (name_bytes == 0 || name_bytes > kMaxKeyBytes) {
      reader.fail(concat("tensor ", i, " at offset ", at, " has a name of ", name_bytes,
                         " bytes, want 1 to ", kMaxKeyBytes));
    }
    const auto name = reader.take_text(name_bytes, "a tensor's name");
    if (!tensor_index_.emplace(name, tensors_.size()).second) {
      reader.fail(concat("tensor ", quoted_text(name), " at offset ", at, " is there twice"));
    }
    const auto n_dims = reader.read<uint32_t>("a tensor's dimension count");
    if (n_dims > kMaxDims) {
      reader.fail(concat("tensor ", quoted_text(name), " has ", n_dims,
                         " dimensions, want at most ", kMaxDims));
    }
    GgufTensor tensor{std::string(name), GgmlType::kF32, std::vector<int64_t>(n_dims), {}};
    for (uint32_t d = n_dims; d-- > 0;) {
      tensor.shape[d] = reader.read<int64_t>("a tensor's dimension");
      if (tensor.shape[d] <= 0) {
        reader.fail(concat("tensor ", quoted_text(name), " has dimension ", tensor.shape[d]));
      }
    }
    tensor.type = static_cast<GgmlType>(reader.read<uint32_t>("a tensor's type"));
    offsets.push_back(reader.read<uint64_t>("a tensor's offset"));
    tensors_.push_back(std::move(tensor));
  }
  place_tensors(reader.position(), offsets);
}

void GgufFile::place_tensors(uint64_t header_end, const std::vector<uint64_t>& offsets) {
  const uint64_t alignment = find_uint("general.alignment").value_or(kDefaultAlignment);
  DSRASQ_CHECK(std::has_single_bit(alignment) && alignment <= kMaxAlignment, kBadInput, kInGguf,
               path().string(), ": general.alignment is ", alignment,
               ", want a power of two of at most ", kMaxAlignment);
  const uint64_t size = file_.bytes().size();
  const uint64_t data_start = (header_end + alignment - 1) & ~(alignment - 1);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    GgufTensor& tensor = tensors_[i];
    const auto check = [&](bool ok, const auto&... parts) {
      DSRASQ_CHECK(ok, kBadInput, kInGguf, path().string(), ": tensor ", quoted_text(tensor.name),
                   parts...);
    };
    check(offsets[i] % alignment == 0, " lies at offset ", offsets[i],
          " of the data, no multiple of the alignment ", alignment);
    int64_t n_elements = 1;
    for (const int64_t dim : tensor.shape) {
      check(!__builtin_mul_overflow(n_elements, dim, &n_elements), " is larger than any file");
    }
    const auto info = ggml_type_info(tensor.type);
    if (!info) continue;
    const int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    check(row % info->block == 0, " has rows of ", row, " weights, no multiple of the ", info->name,
          " block of ", info->block);
    int64_t n_bytes = 0;
    check(!__builtin_mul_overflow(n_elements / info->block, info->block_bytes, &n_bytes),
          " is larger than any file");
    check(data_start <= size && offsets[i] <= size - data_start &&
              static_cast<uint64_t>(n_bytes) <= size - data_start - offsets[i],
          " has ", n_bytes, " bytes at offset ", offsets[i], " of the data, past the end of the ",
          "file of ", size, " bytes, whose data starts at ", data_start);
    tensor.bytes = file_.bytes().subspan(data_start + offsets[i], static_cast<size_t>(n_bytes));
  }
}

std::vector<std::string_view> GgufFile::keys() const {
  std::vector<std::string_view> keys;
  keys.reserve(values_.size());
  for (const Value& value : values_) keys.push_back(value.key);
  return keys;
}

const GgufFile::Value* GgufFile::find(std::string_view key, bool is_array) const {
  const auto found = key_index_.find(key);
  if (found == key_index_.end()) return nullptr;
  const Value& value = values_[found->second];
  if (value.is_array != is_array) fail_type(value, is_array ? "an array" : "a single value");
  return &value;
}

void GgufFile::fail_type(const Value& value, const char* wanted) const {
  throw Error(ErrorCode::kBadInput, kInGguf,
              concat(path().string(), ": key ", quoted_text(value.key), " is ",
                     value.is_array ? "an array of " : "a ", kValueTypes[value.type].name,
                     ", want ", wanted));
}

std::optional<uint64_t> GgufFile::find_uint(std::string_view key) const {
  const Value* value = find(key, false);
  if (value == nullptr) return std::nullopt;
  if (!is_integer(value->type) || value->type == kBool) fail_type(*value, "an unsigned integer");
  std::optional<uint64_t> result;
  visit_integer(value->type, value->data, 0, [&](auto x) {
    if (x >= 0) result = static_cast<uint64_t>(x);
  });
  DSRASQ_CHECK(result, kBadInput, kInGguf, path().string(), ": key ", quoted_text(key),
               " is negative");
  return result;
}

std::optional<double> GgufFile::find_float(std::string_view key) const {
  const Value* value = find(key, false);
  if (value == nullptr) return std::nullopt;
  if (value->type == kFloat32) return item<float>(value->data, 0);
  if (value->type == kFloat64) return item<double>(value->data, 0);
  fail_type(*value, "a float");
}

std::optional<bool> GgufFile::find_bool(std::string_view key) const {
  const Value* value = find(key, false);
  if (value == nullptr) return std::nullopt;
  if (value->type != kBool) fail_type(*value, "a bool");
  return item<uint8_t>(value->data, 0) != 0;
}

std::optional<std::string_view> GgufFile::find_string(std::string_view key) const {
  const Value* value = find(key, false);
  if (value == nullptr) return std::nullopt;
  if (value->type != kString) fail_type(*value, "a string");
  const auto text = value->data.subspan(sizeof(uint64_t));
  return std::string_view(reinterpret_cast<const char*>(text.data()), text.size());
}

std::optional<uint64_t> GgufFile::array_length(std::string_view key) const {
  const auto found = key_index_.find(key);
  if (found == key_index_.end() || !values_[found->second].is_array) return std::nullopt;
  return values_[found->second].count;
}

std::vector<std::string_view> GgufFile::strings(std::string_view key) const {
  const Value* value = find(key, true);
  std::vector<std::string_view> items;
  if (value == nullptr) return items;
  if (value->type != kString) fail_type(*value, "an array of strings");
  items.reserve(value->count);
  ByteReader reader(value->data, path().string(), kInGguf);
  for (uint64_t i = 0; i < value->count; ++i) {
    items.push_back(reader.take_text(reader.read<uint64_t>("a string's length"), "a string"));
  }
  return items;
}

std::vector<float> GgufFile::floats(std::string_view key) const {
  const Value* value = find(key, true);
  if (value == nullptr) return {};
  if (value->type != kFloat32) fail_type(*value, "an array of f32");
  std::vector<float> items(value->count);
  if (!items.empty()) std::memcpy(items.data(), value->data.data(), value->data.size());
  return items;
}

std::vector<int32_t> GgufFile::ints(std::string_view key) const {
  const Value* value = find(key, true);
  if (value == nullptr) return {};
  if (!is_integer(value->type)) fail_type(*value, "an array of integers");
  std::vector<int32_t> items;
  items.reserve(value->count);
  for (uint64_t i = 0; i < value->count; ++i) {
    visit_integer(value->type, value->data, i, [&](auto x) {
      DSRASQ_CHECK(std::in_range<int32_t>(x), kBadInput, kInGguf, path().string(), ": key ",
                   quoted_text(key), " item ", i, " is ", +x, ", which does not fit 32 bits");
      items.push_back(static_cast<int32_t>(x));
    });
  }
  return items;
}

std::string GgufFile::value_text(std::string_view key) const {
  const auto found = key_index_.find(key);
  if (found == key_index_.end()) return {};
  const Value& value = values_[found->second];
  if (value.is_array) {
    return concat("array of ", value.count, ' ', kValueTypes[value.type].name,
                  value.count == 1 ? "" : "s");
  }
  if (value.type == kBool) return *find_bool(key) ? "true" : "false";
  if (value.type == kString) return quoted_text(*find_string(key));
  if (!is_integer(value.type)) return concat(*find_float(key));
  std::string text;
  visit_integer(value.type, value.data, 0, [&](auto x) { text = std::to_string(x); });
  return text;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace dsrasq::formats
