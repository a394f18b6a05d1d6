#pragma once

// The compressive cache's parameters in an adapter file: fp32 tensors `slots.LAYER.NAME`, u_k and
// u_v (content, rotate) or a_k and a_v (position), beta (not rotate), read_k, read_v and gate.

#include <cstdint>
#include <map>
#include <vector>

#include "dsrasq/formats/safetensors.h"
#include "dsrasq/memory/slot_cache.h"

namespace dsrasq::retriever {

/// The slots of every layer that has some, all of this mode. Throws kBadInput naming the file and
/// the tensor that is missing, does not fit the others of its layer, or holds a value that it may
/// not.
std::map<int64_t, memory::SlotParameters> read_slots(const formats::SafetensorsFile& file,
                                                     int64_t n_layers, memory::SlotMode mode);

/// Tensors to write; their bytes are those of `slots`, which must outlive them.
std::vector<formats::NamedTensor> slot_tensors(
    const std::map<int64_t, memory::SlotParameters>& slots);

}  // namespace dsrasq::retriever
