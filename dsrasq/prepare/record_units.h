#pragma once

// The records of a corpus as the texts of a data set, in its order.

#include <memory>
#include <vector>

#include "dsrasq/data/corpus_record.h"
#include "dsrasq/prepare/dataset_kind.h"
#include "dsrasq/prepare/encoded_parts.h"

namespace dsrasq::text {
class Tokenizer;
}

namespace dsrasq::prepare {

/// Documents: in the order given, each by itself. A stream: by time, those of the same time in the
/// order given. Dialogues: stream by stream in the order in which the streams first appear. Where
/// records follow one another in a document an empty line is between them. `tokenizer` must outlive
/// the result.
std::unique_ptr<UnitSource> record_units(std::vector<data::CorpusRecord> records, DatasetKind kind,
                                         const text::Tokenizer& tokenizer);

}  // namespace dsrasq::prepare
