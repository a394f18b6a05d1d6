#pragma once

// The compressive cache's parameters in an adapter file: tensors `slots.LAYER.NAME`. As fp16 the
// matrices, u_k and u_v (content, rotate) or a_k and a_v (position), read_k and read_v; as fp32
// beta (not rotate) and gate (a slot that keeps nearly everything has a beta that fp16 makes 1).

#include <cstdint>
#include <filesystem>
#include <map>
#include <vector>

#include "dsrasq/formats/safetensors.h"
#include "dsrasq/memory/slot_cache.h"
#include "dsrasq/retriever/adapter_tensors.h"

namespace dsrasq::retriever {

using SlotsByLayer = std::map<int64_t, memory::SlotParameters>;

/// The slots of every layer that has some, all of this mode. Throws kBadInput naming the file and
/// the tensor that is missing, does not fit the others of its layer, or holds a value that it may
/// not.
SlotsByLayer read_slots(const formats::SafetensorsFile& file, int64_t n_layers,
                        memory::SlotMode mode);

/// The matrices of `slots`. Throws as HalfTensors does.
void add_slots(const SlotsByLayer& slots, const std::filesystem::path& path, HalfTensors& tensors);

/// What `add_slots` leaves to be written as fp32; the bytes are those of `slots`, which must
/// outlive them.
std::vector<formats::NamedTensor> slot_rates(const SlotsByLayer& slots);

}  // namespace dsrasq::retriever
