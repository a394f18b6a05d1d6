#pragma once

// Reading again what was found: a small model answers better from a few passages in front of it
// than from its memory of a long text.

#include <string>
#include <vector>

#include "cli/answer.h"
#include "cli/prompt.h"
#include "dsrasq/session/passages.h"

namespace dsrasq::cli {

/// Reads a question at the end of a session and returns the passages that this read most, best
/// first, at most `n_passages`; none where nothing was retrieved. `files`: see passages_of.
std::vector<session::Passage> find_evidence(session::Session& session,
                                            std::span<const int32_t> question, int64_t n_passages,
                                            std::vector<TextFile> files, const Console& console);

/// The memory in which at most `n_passages` are read again: a window that holds them whole.
policy::PolicyOptions reread_options(int64_t n_passages);

/// A second, short session of those options that reads the passages as its text, in the order in
/// which they stand in it, up to where the question comes.
std::unique_ptr<session::Session> reread(const session::Engine& engine, const Prompt& prompt,
                                         std::vector<session::Passage> passages,
                                         const policy::PolicyOptions& options,
                                         const Console& console);

}  // namespace dsrasq::cli
