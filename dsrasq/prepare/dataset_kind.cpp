#include "dsrasq/prepare/dataset_kind.h"

#include <algorithm>
#include <array>

#include "dsrasq/core/error.h"

namespace dsrasq::prepare {
namespace {

using View = std::string_view;

constexpr std::array<View, 4> kNames{"documents", "stream", "dialogue", "qa"};
constexpr std::array<View, 3> kWithTimes{"reuters", "gdelt-events", "gdelt-gkg"};
constexpr std::array<View, 3> kConversations{"dialogue", "topical-chat", "dailydialog"};
constexpr std::array<View, 5> kPassages{"hotpotqa", "musique", "nq", "squad", "multirc"};
constexpr std::array<View, 3> kWithoutQuestions{"summary", "instruction", "parallel"};

template <class List>
bool contains(const List& list, View name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool has_questions(const data::CorpusFiles& files) {
  return files.holds_samples && !contains(kWithoutQuestions, files.format);
}

bool suits(DatasetKind kind, const data::CorpusFiles& files) {
  switch (kind) {
    case DatasetKind::kStream: return contains(kWithTimes, files.format);
    case DatasetKind::kDialogue: return contains(kConversations, files.format);
    case DatasetKind::kQa: return has_questions(files);
    case DatasetKind::kDocuments: break;
  }
  return true;
}

const char* wanted(DatasetKind kind) {
  switch (kind) {
    case DatasetKind::kStream: return "records with times: reuters, gdelt-events or gdelt-gkg";
    case DatasetKind::kDialogue: return "conversations: dialogue, topical-chat or dailydialog";
    case DatasetKind::kQa: return "questions with texts to answer them from";
    case DatasetKind::kDocuments: break;
  }
  return "texts";
}

}  // namespace

std::string_view kind_name(DatasetKind kind) { return kNames[static_cast<size_t>(kind)]; }

bool has_passages(View format) { return contains(kPassages, format); }

DatasetKind choose_kind(const std::string& name, const data::CorpusFiles& files) {
  if (name == "auto") {
    if (contains(kWithTimes, files.format)) return DatasetKind::kStream;
    if (contains(kConversations, files.format)) return DatasetKind::kDialogue;
    return has_passages(files.format) ? DatasetKind::kQa : DatasetKind::kDocuments;
  }
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  DSRASQ_CHECK(found != kNames.end(), kInvalidArgument, "prepare.dataset_kind", "--kind is \"",
               name, "\", want auto, documents, stream, dialogue or qa");
  const auto kind = static_cast<DatasetKind>(found - kNames.begin());
  DSRASQ_CHECK(suits(kind, files), kInvalidArgument, "prepare.dataset_kind", "--kind ", name,
               " wants ", wanted(kind), "; ", files.paths[0].string(), " is ", files.format,
               " data");
  return kind;
}

}  // namespace dsrasq::prepare
