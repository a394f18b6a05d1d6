#include "dsrasq/retriever/adapter_lora.h"

#include <string>
#include <string_view>

#include "dsrasq/core/error.h"

namespace dsrasq::retriever {
namespace {

constexpr const char* kInAdapterLora = "retriever.adapter_lora";
constexpr int64_t kMaxRank = 1024, kMaxWidth = 1 << 20;

std::string tensor_name(int64_t layer, const char* part, const char* side) {
  return concat("lora.", layer, '.', part, '.', side);
}

LowRank read_part(const formats::SafetensorsFile& file, int64_t layer, std::string_view part,
                  const std::string& name_a, const std::string& name_b, int64_t n_embd) {
  const auto& a = file.require(name_a).shape;
  const auto& b = file.require(name_b).shape;
  DSRASQ_CHECK(a.size() == 2 && b.size() == 2 && a[0] == b[1] && a[0] >= 1 && a[0] <= kMaxRank &&
                   a[1] >= 1 && a[1] <= kMaxWidth && b[0] >= 1 && b[0] <= kMaxWidth,
               kBadInput, kInAdapterLora, file.path().string(), ": the tensors lora.", layer, ".",
               part, ".* do not fit each other");
  const bool from_model = part == "q" || part == "k" || part == "v";
  const int64_t width = from_model ? a[1] : b[0];
  DSRASQ_CHECK(width == n_embd, kBadInput, kInAdapterLora, file.path().string(), ": ",
               from_model ? name_a : name_b, " is for a width of ", width, ", the adapter's is ",
               n_embd);
  return {read_tensor(file, name_a, a), read_tensor(file, name_b, b)};
}

}  // namespace

LoraByLayer read_lora(const formats::SafetensorsFile& file, int64_t n_layers, int64_t n_embd) {
  LoraByLayer lora;
  for (int64_t layer = 0; layer < n_layers; ++layer) {
    LoraParameters parameters;
    bool any = false;
    parameters.visit([&](const char* part, LowRank& low_rank) {
      const std::string a = tensor_name(layer, part, "a"), b = tensor_name(layer, part, "b");
      if (file.find(a) == nullptr && file.find(b) == nullptr) return;
      low_rank = read_part(file, layer, part, a, b, n_embd);
      any = true;
    });
    if (any) lora[layer] = parameters;
  }
  return lora;
}

void add_lora(const LoraByLayer& lora, const std::filesystem::path& path, HalfTensors& tensors) {
  for (auto [layer, parameters] : lora)
    parameters.visit([&, layer = layer](const char* part, const LowRank& low_rank) {
      if (!low_rank.defined()) return;
      tensors.add(tensor_name(layer, part, "a"), low_rank.a, path);
      tensors.add(tensor_name(layer, part, "b"), low_rank.b, path);
    });
}

}  // namespace dsrasq::retriever
