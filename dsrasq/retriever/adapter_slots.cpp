#include "dsrasq/retriever/adapter_slots.h"

#include <ATen/Functions.h>

#include <span>
#include <string>

#include "dsrasq/core/error.h"

namespace dsrasq::retriever {
namespace {

constexpr const char* kInAdapterSlots = "retriever.adapter_slots";
using formats::NamedTensor;
using memory::SlotMode;

std::string slot_tensor(int64_t layer, const char* name) {
  return concat("slots.", layer, '.', name);
}

// Of the matrices that say which tokens of a block a slot takes.
const char* take_k_name(SlotMode mode) { return mode == SlotMode::kPosition ? "a_k" : "u_k"; }
const char* take_v_name(SlotMode mode) { return mode == SlotMode::kPosition ? "a_v" : "u_v"; }

// Copies a tensor out after checking its rank.
std::vector<float> values_of(const formats::SafetensorsFile& file, const std::string& name,
                             size_t rank, std::vector<int64_t>& shape) {
  shape = file.require(name).shape;
  DSRASQ_CHECK(shape.size() == rank, kBadInput, kInAdapterSlots, file.path().string(), ": ", name,
               " has ", shape.size(), " dimensions, want ", rank);
  const at::Tensor values = read_tensor(file, name, shape);
  const float* data = values.const_data_ptr<float>();
  return {data, data + values.numel()};
}

memory::SlotParameters read_layer(const formats::SafetensorsFile& file, int64_t layer,
                                  SlotMode mode) {
  memory::SlotParameters p{.mode = mode};
  std::vector<int64_t> u_k, u_v, beta, read_k, read_v, gate;
  p.u_k = values_of(file, slot_tensor(layer, take_k_name(mode)), 2, u_k);
  p.u_v = values_of(file, slot_tensor(layer, take_v_name(mode)), 2, u_v);
  if (mode != SlotMode::kRotate) p.beta = values_of(file, slot_tensor(layer, "beta"), 1, beta);
  p.read_k = values_of(file, slot_tensor(layer, "read_k"), 3, read_k);
  p.read_v = values_of(file, slot_tensor(layer, "read_v"), 3, read_v);
  p.gate = values_of(file, slot_tensor(layer, "gate"), 1, gate);
  p.n_slots = u_k[1];
  p.n_kv_heads = read_k[0];
  p.head_dim = read_k[2];
  const int64_t n_rows = mode == SlotMode::kPosition ? u_k[0] : p.width();
  DSRASQ_CHECK(p.n_slots > 0 && p.width() > 0 && n_rows > 0 && u_k[0] == n_rows && u_v == u_k &&
                   (mode == SlotMode::kRotate || beta[0] == p.n_slots) && read_v == read_k &&
                   read_k[1] == p.width() && gate[0] > 0 && gate[0] % read_k[0] == 0,
               kBadInput, kInAdapterSlots, file.path().string(), ": the tensors slots.", layer,
               ".* do not fit each other");
  for (const float keep : p.beta)
    DSRASQ_CHECK(keep > 0 && keep < 1, kBadInput, kInAdapterSlots, file.path().string(), ": slots.",
                 layer, ".beta holds ", keep, ", want values between 0 and 1");
  return p;
}

}  // namespace

SlotsByLayer read_slots(const formats::SafetensorsFile& file, int64_t n_layers, SlotMode mode) {
  SlotsByLayer slots;
  for (int64_t layer = 0; layer < n_layers; ++layer)
    if (file.find(slot_tensor(layer, take_k_name(mode))) != nullptr ||
        file.find(slot_tensor(layer, "gate")) != nullptr)
      slots[layer] = read_layer(file, layer, mode);
  return slots;
}

void add_slots(const SlotsByLayer& slots, const std::filesystem::path& path, HalfTensors& tensors) {
  for (const auto& [layer, p] : slots) {
    const int64_t r = p.n_slots, n_rows = static_cast<int64_t>(p.u_k.size()) / r;
    const auto add = [&, layer = layer](const char* name, const std::vector<float>& values,
                                        at::IntArrayRef shape) {
      tensors.add(slot_tensor(layer, name), at::tensor(values, at::kFloat).view(shape), path);
    };
    add(take_k_name(p.mode), p.u_k, {n_rows, r});
    add(take_v_name(p.mode), p.u_v, {n_rows, r});
    add("read_k", p.read_k, {p.n_kv_heads, p.width(), p.head_dim});
    add("read_v", p.read_v, {p.n_kv_heads, p.width(), p.head_dim});
  }
}

std::vector<NamedTensor> slot_rates(const SlotsByLayer& slots) {
  std::vector<NamedTensor> tensors;
  for (const auto& [layer, p] : slots) {
    const auto add = [&, layer = layer](const char* name, const std::vector<float>& values) {
      tensors.push_back({slot_tensor(layer, name),
                         formats::Dtype::kF32,
                         {static_cast<int64_t>(values.size())},
                         std::as_bytes(std::span(values))});
    };
    if (p.mode != SlotMode::kRotate) add("beta", p.beta);
    add("gate", p.gate);
  }
  return tensors;
}

}  // namespace dsrasq::retriever
