#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/formats/chunk_file.h"
#include "dsrasq/session/session.h"
#include "dsrasq/session/tiny_engine.h"

namespace dsrasq::session {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
constexpr int64_t kRead = 600;
const model::SamplingConfig kSampling{.temperature = 0.8, .repeat_penalty = 1.1};

class SessionFileTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::temp_directory_path() / concat("session_file_test.", ::getpid());
    fs::create_directories(folder_);
    engine_ = std::make_unique<Engine>(make_tiny_engine(folder_));
  }
  static void TearDownTestSuite() {
    engine_.reset();
    fs::remove_all(folder_);
  }

  static std::vector<int32_t> ids(int64_t n) {
    std::vector<int32_t> ids(static_cast<size_t>(n));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(3 + i * i % 90);
    return ids;
  }

  /// A session after kRead tokens and two generated ones.
  static std::unique_ptr<Session> some_session(const policy::PolicyOptions& options) {
    auto session = std::make_unique<Session>(*engine_, options);
    session->sources().push_back({"a.txt", 5000, "0123456789abcdef", 0, kRead});
    session->read(ids(kRead));
    session->generate({.max_tokens = 2, .sampling = kSampling});
    return session;
  }

  static fs::path path() { return folder_ / "s.dsr"; }

  using Edit = std::function<void(std::string& bytes)>;

  /// Writes the file again with one section edited and every checksum right.
  static void rewrite(const std::string& section, const Edit& edit) {
    std::vector<std::pair<std::string, std::string>> sections;
    {
      const formats::ChunkFile in(path(), kSessionKind, kSessionVersion);
      for (const std::string& name : in.names()) {
        const auto bytes = in.require(name);
        sections.emplace_back(
            name, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
        if (name == section) edit(sections.back().second);
      }
    }
    formats::ChunkFileWriter out(path(), kSessionKind, kSessionVersion);
    for (const auto& [name, bytes] : sections) out.add(name, std::as_bytes(std::span(bytes)));
    out.commit();
  }

  static Edit merge(const Json& patch) {
    return [patch](std::string& bytes) {
      Json json = Json::parse(bytes);
      json.merge_patch(patch);
      bytes = json.dump();
    };
  }

  template <class T>
  static Edit put(size_t index, T value) {
    return [=](std::string& bytes) {
      std::memcpy(bytes.data() + index * sizeof(T), &value, sizeof(T));
    };
  }

  /// The sentence with which the edited file of a `policy` session is refused.
  static std::string refusal(const std::string& policy, const std::string& section,
                             const Edit& edit) {
    some_session(tiny_options(policy))->save(path());
    rewrite(section, edit);
    try {
      Session::load(*engine_, path());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput) << error.what();
      EXPECT_NE(std::string(error.what()).find("s.dsr"), std::string::npos) << error.what();
      return error.what();
    }
    return "nothing thrown";
  }

  static inline fs::path folder_;
  static inline std::unique_ptr<Engine> engine_;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(SessionFileTest, ARestoredSessionGoesOnAsTheOneThatWasSaved) {
  for (const char* policy : {"dsrasq", "full", "window", "random", "recency"}) {
    const auto session = some_session(tiny_options(policy, "score"));
    session->save(path());
    const auto restored = Session::load(*engine_, path());
    EXPECT_EQ(restored->position(), kRead + 2);
    ASSERT_EQ(restored->sources().size(), 1u);
    EXPECT_EQ(restored->sources()[0].path, "a.txt");
    session->read(ids(1000)), restored->read(ids(1000));  // over an eviction and a fold
    const GenerateOptions more{.max_tokens = 8, .sampling = kSampling};
    EXPECT_EQ(session->generate(more).text, restored->generate(more).text) << policy;
  }
}

// Whatever fits: of another mode its slots have the same shapes and mean something else.
TEST_F(SessionFileTest, AnAdapterThatDiffersInTheModeOfItsSlotsIsAnother) {
  retriever::Adapter adapter = *engine_->adapter();
  adapter.slots.at(1).mode = memory::SlotMode::kRotate;
  adapter.save(folder_ / "rotate.safetensors");
  const Engine other({.model = folder_.string(),
                      .adapter = (folder_ / "rotate.safetensors").string(),
                      .threads = 1});
  some_session(tiny_options("dsrasq"))->save(path());
  try {
    Session::load(other, path());
    FAIL() << "no throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_TRUE(contains(error.what(), "s.dsr was made with another adapter")) << error.what();
  }
}

TEST_F(SessionFileTest, AnOracleIsNeitherSavedNorRestored) {
  try {
    some_session(tiny_options("oracle"))->save(path());
    FAIL() << "no throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_TRUE(contains(error.what(), "--policy oracle looks at all keys")) << error.what();
  }
  EXPECT_TRUE(contains(refusal("recency", "state", merge({{"options", {{"policy", "oracle"}}}})),
                       "s.dsr: --policy oracle looks at all keys"));
}

TEST_F(SessionFileTest, AMethodToCompareWithIsNeitherSavedNorRestored) {
  try {
    Session(*engine_, tiny_options("h2o")).save(path());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_TRUE(contains(error.what(), "--policy h2o is there to compare with")) << error.what();
  }
  EXPECT_TRUE(contains(refusal("recency", "state", merge({{"options", {{"policy", "razor"}}}})),
                       "s.dsr: --policy razor is there to compare with"));
}

TEST_F(SessionFileTest, AnEmptySessionIsSavedToo) {
  Session(*engine_, tiny_options("dsrasq")).save(path());
  EXPECT_EQ(Session::load(*engine_, path())->position(), 0);
}

TEST_F(SessionFileTest, AFileNameThatIsNotUtf8CanBeKept) {
  const auto session = some_session(tiny_options("recency"));
  session->sources()[0].path = "caf\xE9.txt";
  session->save(path());
  EXPECT_EQ(Session::load(*engine_, path())->sources()[0].path, "caf\xEF\xBF\xBD.txt");
}

TEST_F(SessionFileTest, ThousandsOfFilesAreKept) {
  const auto session = some_session(tiny_options("recency"));
  session->save(path());
  const auto size = fs::file_size(path());
  for (int i = 0; i < 200; ++i) session->sources().push_back({"b.txt", 1, "", kRead, 0});
  session->save(path());
  EXPECT_EQ(fs::file_size(path()), size);
  for (int i = 0; i < 5000; ++i) session->sources().push_back({"c.txt", 1, "", kRead, 0});
  session->save(path());
  EXPECT_EQ(Session::load(*engine_, path())->sources().size(), 5201u);
}

TEST_F(SessionFileTest, OptionsOfAFileAreCheckedAndTheFileIsNamed) {
  const auto message = [](const Json& options) {
    return refusal("recency", "state", merge({{"options", options}}));
  };
  EXPECT_TRUE(contains(message({{"pool", -1}}), "--pool is -1, want 0 to"));
  EXPECT_TRUE(contains(message({{"policy", "none"}}), "--policy is 'none', want one of"));
  EXPECT_TRUE(contains(message({{"retention", "all"}}), "--retention is 'all'"));
  EXPECT_TRUE(contains(message({{"window", "wide"}}), "type must be number"));
  EXPECT_TRUE(contains(message({{"topk", nullptr}}), "'topk' not found"));
}

TEST_F(SessionFileTest, AMemoryThatTheFileCannotHoldIsNotReserved) {
  for (const char* size : {"pool", "window"}) {
    const std::string message =
        refusal("recency", "state", merge({{"options", {{size, 1 << 26}}}}));
    EXPECT_TRUE(contains(message, "bytes, its options describe a memory of ")) << message;
  }
}

TEST_F(SessionFileTest, SamplingIsChecked) {
  EXPECT_TRUE(contains(refusal("recency", "state", merge({{"sampling", {{"top_p", 7}}}})),
                       "s.dsr: top_p is 7, want"));
  EXPECT_TRUE(
      contains(refusal("recency", "state", merge({{"sampler", "dsrasq-sampler-1 1 2 3 4 1 96"}})),
               "saved state holds token 96 of a vocabulary of 96"));
}

TEST_F(SessionFileTest, PositionsThatCannotBeAreRefused) {
  EXPECT_TRUE(contains(refusal("full", "state", merge({{"position", 601}})),
                       "the memory is at another position than the session"));
  EXPECT_TRUE(contains(refusal("full", "state", merge({{"position", -1}})), "its position is -1"));
  EXPECT_TRUE(contains(refusal("full", "state", merge({{"position", int64_t{1} << 60}})),
                       "its position is 1152921504606846976"));
}

TEST_F(SessionFileTest, SourcesMustLieWithinWhatWasRead) {
  const auto message = [](int64_t first, int64_t n) {
    return refusal("recency", "sources", [=](std::string& bytes) {
      Json json = Json::parse(bytes);
      json[0]["first_token"] = first, json[0]["n_tokens"] = n;
      bytes = json.dump();
    });
  };
  EXPECT_TRUE(contains(message(0, 603), "a.txt is said to be 603 tokens from position 0 of 602"));
  EXPECT_TRUE(contains(message(-5, 5), "5 tokens from position -5"));
  EXPECT_TRUE(contains(message(1, std::numeric_limits<int64_t>::max()), "is said to be"));
}

TEST_F(SessionFileTest, TheLastStateMustBeNumbers) {
  EXPECT_TRUE(
      contains(refusal("recency", "last_state", put<float>(1, NAN)), "section last_state holds"));
}

TEST_F(SessionFileTest, DamagedPagesAreRefused) {
  EXPECT_TRUE(contains(refusal("recency", "layer.0.pool_page_count", put<int32_t>(0, 17)),
                       "page 0 of the saved pool is damaged"));
}

TEST_F(SessionFileTest, NaNInTheMemoryIsToldWhenItComesOut) {
  const auto session = some_session(tiny_options("full"));
  session->save(path());
  rewrite("layer.0.values", put<float>(0, NAN));
  const auto restored = Session::load(*engine_, path());
  try {
    restored->generate({.max_tokens = 8, .sampling = kSampling});
    FAIL() << "no throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_TRUE(contains(error.what(), "computes nan: its weights, or the session's memory, are"))
        << error.what();
  }
}

}  // namespace
}  // namespace dsrasq::session
