#include "dsrasq/retriever/adapter.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/formats/safetensors.h"

namespace dsrasq::retriever {
namespace {

namespace fs = std::filesystem;

class AdapterTest : public testing::Test {
 protected:
  AdapterTest() : folder_(fs::temp_directory_path() / concat("adapter_test.", getpid())) {
    fs::create_directories(folder_);
  }
  ~AdapterTest() override { fs::remove_all(folder_); }

  static Adapter sample() {
    Adapter adapter{.base_fingerprint = "0123456789abcdef",
                    .base_name = "tiny",
                    .n_embd = 12,
                    .n_heads = 2,
                    .head_dim = 8,
                    .d_max = 6000,
                    .indexers = {},
                    .record = R"({"steps": 3})"};
    adapter.indexers[0] = Adapter::random(12, 2, 8, 1);
    adapter.indexers[5] = Adapter::random(12, 2, 8, 2);
    return adapter;
  }

  // The message with which loading `adapter` after saving fails.
  std::string refusal(const Adapter& adapter) {
    adapter.save(path());
    return load_refusal();
  }
  std::string load_refusal() {
    try {
      Adapter::load(path());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      return error.what();
    }
    return "nothing thrown";
  }
  fs::path path() const { return folder_ / "a.safetensors"; }

  fs::path folder_;
};

TEST_F(AdapterTest, RoundTripKeepsEverythingToHalfPrecision) {
  const Adapter before = sample();
  before.save(path());
  Adapter after = Adapter::load(path());
  EXPECT_EQ(after.base_fingerprint, before.base_fingerprint);
  EXPECT_EQ(after.base_name, "tiny");
  EXPECT_EQ(after.n_embd, 12);
  EXPECT_EQ(after.n_heads, 2);
  EXPECT_EQ(after.head_dim, 8);
  EXPECT_EQ(after.d_max, 6000);
  EXPECT_EQ(after.record, before.record);
  ASSERT_EQ(after.indexers.size(), 2u);
  IndexerParameters wanted = before.indexers.at(5), got = after.indexers.at(5);
  std::vector<at::Tensor> want;
  wanted.visit([&](const char*, at::Tensor& t) { want.push_back(t); });
  size_t i = 0;
  got.visit([&](const char* name, at::Tensor& t) {
    EXPECT_EQ(t.scalar_type(), at::kFloat);
    EXPECT_TRUE(t.equal(want[i].to(at::kHalf).to(at::kFloat))) << name;
    ++i;
  });
}

TEST_F(AdapterTest, RandomParametersFollowTheSeed) {
  const IndexerParameters a = Adapter::random(64, 4, 32, 7), b = Adapter::random(64, 4, 32, 7);
  const IndexerParameters c = Adapter::random(64, 4, 32, 8);
  EXPECT_TRUE(a.query.equal(b.query));
  EXPECT_FALSE(a.query.equal(c.query));
  EXPECT_EQ(a.query.size(0), 128);
  EXPECT_NEAR(a.query.square().mean().item<double>(), 1.0 / 64, 0.001);
}

TEST_F(AdapterTest, WrongShapeNamesTheTensorAndBothShapes) {
  Adapter adapter = sample();
  adapter.indexers[5].key = at::zeros({8, 11});
  EXPECT_NE(refusal(adapter).find("retriever.5.key is [8, 11], want [8, 12]"), std::string::npos);
}

TEST_F(AdapterTest, AbsurdConfigurationIsRefusedBeforeAnythingIsAllocated) {
  Adapter adapter = sample();
  adapter.n_embd = int64_t{1} << 40;
  EXPECT_NE(refusal(adapter).find("config.n_embd is not an integer from 1 to 1048576"),
            std::string::npos);
  adapter = sample();
  adapter.indexers.clear();
  EXPECT_NE(refusal(adapter).find("config.layers is not a list"), std::string::npos);
}

TEST_F(AdapterTest, NotANumberIsRefusedByName) {
  Adapter adapter = sample();
  adapter.indexers[0].norm_bias.fill_(std::numeric_limits<float>::quiet_NaN());
  try {
    adapter.save(path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("retriever.0.norm_bias"), std::string::npos);
  }
  sample().save(path());
  std::string bytes = read_file(path());
  bytes[bytes.size() - 1] = '\x7e';  // the high byte of the last fp16 value: a NaN
  bytes[bytes.size() - 2] = '\x01';
  write_file(path(), bytes);
  EXPECT_NE(load_refusal().find("holds a NaN or an infinity"), std::string::npos);
}

TEST_F(AdapterTest, OtherFilesAreRefused) {
  formats::write_safetensors(path(), {}, {{"format", "pt"}});
  EXPECT_NE(load_refusal().find("its format is \"pt\", want \"dsrasq-adapter\""),
            std::string::npos);
  formats::write_safetensors(path(), {});
  EXPECT_NE(load_refusal().find("lacks \"format\""), std::string::npos);
  write_file(path(), "not a safetensors file");
  EXPECT_NE(load_refusal().find("a.safetensors"), std::string::npos);
  fs::remove(path());
  EXPECT_NE(load_refusal().find("a.safetensors"), std::string::npos);
}

TEST_F(AdapterTest, IsFoundByTheFingerprintOfItsBase) {
  Adapter other = sample();
  other.base_fingerprint = "ffffffffffffffff";
  other.save(folder_ / "0-other.safetensors");
  write_file(folder_ / "1-damaged.safetensors", "garbage");
  write_file(folder_ / "readme.txt", "0123456789abcdef");
  EXPECT_EQ(find_adapter("0123456789abcdef", {folder_ / "absent", folder_}), std::nullopt);
  sample().save(path());
  EXPECT_EQ(find_adapter("0123456789abcdef", {folder_ / "absent", folder_}), path());
}

}  // namespace
}  // namespace dsrasq::retriever
