#pragma once

// What a data set is made for.

#include <cstdint>
#include <string>
#include <string_view>

#include "dsrasq/data/corpus_reader.h"

namespace dsrasq::prepare {

enum class DatasetKind : uint8_t {
  kDocuments,  ///< every text by itself
  kStream,     ///< news in the order of their times, as one text
  kDialogue,   ///< the conversations of each service, article or topic, as one text
  kQa,         ///< questions behind their context, which may be grown with other passages
};

/// "documents", "stream", "dialogue" or "qa".
std::string_view kind_name(DatasetKind kind);

/// The kind of that name, or of "auto" what suits the format best. Throws kInvalidArgument for an
/// unknown name, and for a kind that the format has nothing for: no times, conversations,
/// questions.
DatasetKind choose_kind(const std::string& name, const data::CorpusFiles& files);

/// Whether contexts of the format can be grown with passages of other questions.
bool has_passages(std::string_view format);

}  // namespace dsrasq::prepare
