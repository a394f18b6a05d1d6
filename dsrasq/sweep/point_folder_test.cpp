#include "dsrasq/sweep/point_folder.h"

#include "dsrasq/sweep/test_points.h"

namespace dsrasq::sweep {
namespace {

class PointFolderTest : public PointTest {
 protected:
  void SetUp() override {
    PointTest::SetUp();
    point_ = point("a", "true", "true");
    files().begin(0);
  }
  PointFolder files() const { return {folder_, point_}; }
  const Stage& first() const { return point_.stages[0]; }
  const Stage& second() const { return point_.stages[1]; }
  void print(const Stage& stage, const std::string& text) const {
    write("points/a/" + stage.name + ".json.new", text);
  }

  Point point_;
};

TEST_F(PointFolderTest, StagesAreDoneByTheirResults) {
  EXPECT_EQ(files().next_stage(), 0u);
  write("points/a/made", "x");
  print(first(), R"({"status": "ok", "steps": 2})");
  EXPECT_TRUE(files().keep(first(), 0));
  EXPECT_EQ(files().next_stage(), 1u);
  EXPECT_EQ((*files().result("first"))["steps"], 2);
  EXPECT_FALSE(files().result("second"));
  print(second(), R"({"status": "ok"})");
  EXPECT_TRUE(files().keep(second(), 0));
  EXPECT_TRUE(files().is_finished());
  EXPECT_FALSE(has("points/a/first.json.new"));
}

TEST_F(PointFolderTest, WhatALaterStageNeedsIsMadeAgain) {
  write("points/a/made", "x");
  print(first(), R"({"status": "ok"})");
  files().keep(first(), 0);
  std::filesystem::remove(folder_ / "points/a/made");
  EXPECT_EQ(files().next_stage(), 0u);
  print(second(), R"({"status": "ok"})");
  files().keep(second(), 0);
  EXPECT_TRUE(files().is_finished());  // nobody needs it any more
}

TEST_F(PointFolderTest, FailuresAreKeptUntilItIsTriedAgain) {
  print(first(), R"({"status": "error", "message": "no room"})");
  EXPECT_FALSE(files().keep(first(), 4));
  EXPECT_EQ(files().failure(), "first: no room");
  EXPECT_EQ(files().next_stage(), 0u);
  files().begin(0);
  EXPECT_FALSE(files().failure());
}

TEST_F(PointFolderTest, WithoutAWordItsEndIsSaid) {
  print(first(), R"({"status": )");
  EXPECT_FALSE(files().keep(first(), 137));
  EXPECT_HAS(*files().failure(), "first was ended by signal 9 and without a result; see ");
  EXPECT_HAS(*files().failure(), "points/a/first.log");
  print(first(), "");
  EXPECT_FALSE(files().keep(first(), 0));
  EXPECT_HAS(*files().failure(), "first ended with status 0 and without a result");
}

TEST_F(PointFolderTest, BeginningForgetsLaterResults) {
  for (const char* name : {"first.json", "second.json"})
    write(concat("points/a/", name), R"({"status": "ok"})");
  files().begin(1);
  EXPECT_TRUE(has("points/a/first.json"));
  EXPECT_FALSE(has("points/a/second.json"));
}

TEST_F(PointFolderTest, OnlyScratchGoes) {
  std::filesystem::create_directories(folder_ / "points/a/run/deep");
  write("points/a/made", "x");
  write("points/a/first.json", "{}");
  files().clear_scratch();
  EXPECT_FALSE(has("points/a/run"));
  EXPECT_FALSE(has("points/a/made"));
  EXPECT_TRUE(has("points/a/first.json"));
}

}  // namespace
}  // namespace dsrasq::sweep
