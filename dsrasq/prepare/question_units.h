#pragma once

// Samples of benchmarks as the texts of a data set.

#include <memory>

#include "dsrasq/prepare/encoded_parts.h"
#include "dsrasq/prepare/question_contexts.h"

namespace dsrasq::prepare {

/// Each sample is a document: its context, question and answer.
std::unique_ptr<UnitSource> question_units(QuestionContexts contexts);

}  // namespace dsrasq::prepare
