#include "dsrasq/prepare/dataset_kind.h"

#include <gtest/gtest.h>

#include "dsrasq/core/error.h"

namespace dsrasq::prepare {
namespace {

data::CorpusFiles files_of(const std::string& format, bool holds_samples) {
  return {.paths = {"a.file"}, .format = format, .holds_samples = holds_samples};
}

TEST(DatasetKindTest, AutoTakesWhatSuitsTheFormat) {
  EXPECT_EQ(choose_kind("auto", files_of("reuters", false)), DatasetKind::kStream);
  EXPECT_EQ(choose_kind("auto", files_of("topical-chat", false)), DatasetKind::kDialogue);
  EXPECT_EQ(choose_kind("auto", files_of("multirc", true)), DatasetKind::kQa);
  EXPECT_EQ(choose_kind("auto", files_of("summary", true)), DatasetKind::kDocuments);
  EXPECT_EQ(choose_kind("auto", files_of("text", false)), DatasetKind::kDocuments);
}

TEST(DatasetKindTest, EveryFormatHasDocuments) {
  for (const char* format : {"reuters", "dialogue", "text"})
    EXPECT_EQ(choose_kind("documents", files_of(format, false)), DatasetKind::kDocuments);
  EXPECT_EQ(choose_kind("documents", files_of("squad", true)), DatasetKind::kDocuments);
  EXPECT_EQ(kind_name(DatasetKind::kDialogue), "dialogue");
}

TEST(DatasetKindTest, AKindThatTheFormatHasNothingForIsRefused) {
  const auto refusal = [](const char* kind, const data::CorpusFiles& files) -> std::string {
    try {
      choose_kind(kind, files);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
      return e.what();
    }
    return "no throw";
  };
  EXPECT_NE(refusal("stream", files_of("text", false))
                .find("--kind stream wants records with times: reuters, gdelt-events or "
                      "gdelt-gkg; a.file is text data"),
            std::string::npos);
  EXPECT_NE(refusal("qa", files_of("summary", true)).find("wants questions"), std::string::npos);
  EXPECT_NE(refusal("dialogue", files_of("squad", true)).find("wants conv"), std::string::npos);
  EXPECT_NE(refusal("news", files_of("squad", true)).find("--kind is \"news\""), std::string::npos);
}

}  // namespace
}  // namespace dsrasq::prepare
