#include "dsrasq/core/child_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq {
namespace {

class ChildProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              concat("dsrasq_child_", info->name(), '_', ::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  ChildCommand shell(const std::string& script) const {
    return {.words = {"/bin/sh", "-c", script},
            .variables = {},
            .output = folder_ / "out",
            .errors = folder_ / "err"};
  }
  std::string text(const char* name) const { return read_file(folder_ / name); }
  static int wait(ChildProcess& child) {
    for (int i = 0; i < 2000; ++i) {
      if (const auto status = child.exit_status()) return *status;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return -1;
  }

  std::filesystem::path folder_;
};

TEST_F(ChildProcessTest, ItsTextsGoToFilesAndItsStatusIsTold) {
  ChildCommand command = shell("cat; echo \"$A$B\"; echo wrong >&2; exit 3");
  ASSERT_EQ(::setenv("A", "mine", 1), 0);
  ASSERT_EQ(::setenv("B", "kept", 1), 0);
  command.variables = {{"A", "given "}};
  ChildProcess child(command);
  EXPECT_EQ(wait(child), 3);
  EXPECT_EQ(child.exit_status(), 3);  // as often as asked
  EXPECT_EQ(text("out"), "given kept\n");
  EXPECT_EQ(text("err"), "wrong\n");
}

TEST_F(ChildProcessTest, SignalsAreRequests) {
  ChildProcess child(shell("trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done"));
  while (text("out").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(child.exit_status());
  child.send(SIGINT);
  EXPECT_EQ(wait(child), 9);
  child.send(SIGINT);  // nobody is there any more
}

TEST_F(ChildProcessTest, OneThatStillRunsIsKilledInTheEnd) {
  {
    ChildProcess child(shell("trap '' INT TERM; echo $$; while :; do sleep 0.01; done"));
    while (text("out").empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    child.send(SIGTERM);
  }
  EXPECT_NE(::kill(std::stoi(text("out")), 0), 0);
}

TEST_F(ChildProcessTest, AKilledOneSaysBySignal) {
  ChildProcess child(shell("kill -9 $$"));
  EXPECT_EQ(wait(child), 128 + SIGKILL);
}

TEST_F(ChildProcessTest, WhatCannotBeRun) {
  ChildCommand command = shell("");
  command.words = {folder_ / "none"};
  ChildProcess child(command);
  EXPECT_EQ(wait(child), 127);
  EXPECT_NE(text("err").find("none: No such file"), std::string::npos);
  command.output = folder_ / "no folder" / "out";
  try {
    const ChildProcess other(command);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutput);
  }
}

}  // namespace
}  // namespace dsrasq
