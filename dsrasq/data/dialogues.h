#pragma once

// Dialogues as their data sets publish them, turn by turn.

#include <filesystem>
#include <string>
#include <vector>

#include "dsrasq/data/text_reader.h"

namespace dsrasq::data {

struct DialogueTurn {
  std::string speaker, words;
};

struct Dialogue {
  std::string id;  ///< its own, else its number in the file, from 1
  std::vector<DialogueTurn> turns;
};

/// The dialogues of a file in order, each of two turns at least; shorter ones are left out. Told
/// apart by content:
///   Schema-Guided Dialogue (Rastogi et al. 2020)  JSON Lines or an array: turns, each with speaker
///                                                 and utterance
///   Topical-Chat (Gopalakrishnan et al. 2019)     one JSON object of conversations: content, each
///                                                 with agent and message
///   DailyDialog (Li et al. 2017)                  a dialogue a line, "__eou__" behind every turn;
///                                                 what stands behind a tab is not read. Its two
///                                                 speakers take turns and are called A and B
/// Throws kBadInput naming the file, the record or line and the field that is wrong, and a file
/// without dialogues.
std::vector<Dialogue> read_dialogues(const std::filesystem::path& path,
                                     const ReadOptions& options = {});

}  // namespace dsrasq::data
