#pragma once

// Dialogues turn by turn, as their data sets publish them.

#include <filesystem>
#include <string>
#include <vector>

namespace dsrasq::data {

struct DialogueTurn {
  std::string speaker, words;  ///< each on one line
};

struct Dialogue {
  std::string id;
  std::vector<DialogueTurn> turns;
};

/// The conversations of a file in order (corpus_reader.h: Schema-Guided Dialogue, Topical-Chat,
/// DailyDialog). Turns without words are left out, and dialogues of fewer than two turns. Throws
/// kBadInput as CorpusReader does, and naming a file that holds something else or no dialogue.
std::vector<Dialogue> read_dialogues(const std::filesystem::path& path);

}  // namespace dsrasq::data
