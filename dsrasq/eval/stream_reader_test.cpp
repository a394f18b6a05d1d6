#include "dsrasq/eval/stream_reader.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace dsrasq::eval {
namespace {

std::vector<int32_t> test_ids(int64_t first, int64_t n) {
  std::vector<int32_t> ids;
  for (int64_t i = first; i < first + n; ++i) ids.push_back(static_cast<int32_t>(5 + i * 7 % 50));
  return ids;
}

class StreamReading : public testing::TestWithParam<const char*> {
 protected:
  policy::PolicyOptions options() const {
    return {.name = GetParam(), .window = 16, .sinks = 1, .top_k = 8, .pool = 64, .cache = 24};
  }
  const session::Engine engine_{{.model = "tests/golden/models/text", .adapter = "none"}};
};

// Bits of the next token's logits after the first n ids, read without any question.
at::Tensor logits_after(const session::Engine& engine, const policy::PolicyOptions& options,
                        int64_t n) {
  session::Session session(engine, options);
  session.read(test_ids(0, n));
  return session.next_logits();
}

TEST_P(StreamReading, QuestionsLeaveTheStreamAsItIs) {
  StreamReader reader(engine_, options());
  for (const int64_t n : {40, 90}) {
    reader.add(test_ids(reader.size(), n - reader.size()));
    for (int i = 0; i < 2; ++i) {
      const auto fork = reader.fork();
      ASSERT_EQ(fork->position(), n);
      // Other tokens, and enough of them to push much out of the memory.
      const at::Tensor want = logits_after(engine_, options(), n);
      EXPECT_LT((fork->next_logits() - want).abs().max().item<double>(), 1e-4);
      if (!reader.replays()) EXPECT_TRUE(at::equal(fork->next_logits(), want));
      fork->read(test_ids(1000, 70));
      fork->generate({.max_tokens = 5, .stop = {}, .sampling = {}});
    }
  }
}

TEST_P(StreamReading, ScoresAReplyAndReadsIt) {
  StreamReader reader(engine_, options());
  reader.add(test_ids(0, 50));
  reader.fork()->read(test_ids(1000, 30));
  const double nll = reader.read_scored(test_ids(50, 4));
  EXPECT_EQ(reader.size(), 54);
  double want = 0;
  for (int64_t i = 50; i < 54; ++i)
    want -=
        at::log_softmax(logits_after(engine_, options(), i), 0)[test_ids(i, 1)[0]].item<double>();
  EXPECT_NEAR(nll, want, 1e-3);
  EXPECT_GT(nll, 1);
  EXPECT_EQ(reader.fork()->position(), 54);
}

INSTANTIATE_TEST_SUITE_P(Policies, StreamReading,
                         testing::Values("full", "window", "random", "oracle", "h2o", "infini"));

TEST(StreamReader, LeavesNoFileBehind) {
  const session::Engine engine({.model = "tests/golden/models/text", .adapter = "none"});
  const auto n_files = [] {
    size_t n = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::temp_directory_path()))
      n += entry.path().filename().string().starts_with("dsrasq-stream-" +
                                                        std::to_string(::getpid()) + "-");
    return n;
  };
  {
    StreamReader reader(engine, {.name = "full"});
    reader.add(test_ids(0, 10));
    reader.fork();
    EXPECT_EQ(n_files(), 1u);
  }
  EXPECT_EQ(n_files(), 0u);
}

}  // namespace
}  // namespace dsrasq::eval
