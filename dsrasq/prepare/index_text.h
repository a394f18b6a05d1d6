#pragma once

// From tokens to the file that trainings take hard negatives from.

#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "dsrasq/prepare/index_options.h"

namespace dsrasq::checkpoint {
class Checkpoint;
}

namespace dsrasq::prepare {

/// What the blocks' vectors are made with.
struct IndexModel {
  const checkpoint::Checkpoint& checkpoint;
  std::string vocabulary;  ///< the tokenizer's fingerprint
};

/// Of work done and in all, with what is done: "embedding", "building" or "searching".
using IndexProgress = std::function<void(const char* phase, int64_t done, int64_t total)>;

/// Throws kInvalidArgument for options that are out of range, kUnavailable without FAISS.
void check_index_options(const IndexOptions& options);

/// Writes `options.output` (train/neighbour_table.h) and, where named, the labels; returns what was
/// made, and how good it is. Where the output is there already its vector index is searched again
/// if other neighbours are wanted, and else nothing is searched. Throws kBadInput for data that is
/// no token file, of another vocabulary or a single document, and for an output that is damaged or
/// an index of other data; kInvalidArgument for one of other options.
nlohmann::ordered_json index_text(const IndexOptions& options, const IndexModel& model,
                                  const IndexProgress& progress);

}  // namespace dsrasq::prepare
