#include "cli/message_reader.h"

#include <gtest/gtest.h>

#include <deque>

namespace dsrasq::cli {
namespace {

std::deque<std::optional<std::string>> messages_of(std::deque<std::string> lines) {
  const LineSource source = [&](bool) -> std::optional<std::string> {
    if (lines.empty()) return std::nullopt;
    std::string line = lines.front();
    lines.pop_front();
    return line;
  };
  std::deque<std::optional<std::string>> messages;
  while (auto message = read_message(source)) messages.push_back(message);
  return messages;
}

using Messages = std::deque<std::optional<std::string>>;

TEST(Messages, ALineIsAMessage) {
  EXPECT_EQ(messages_of({"one", "", "two\r"}), (Messages{"one", "", "two"}));
  EXPECT_EQ(messages_of({}), Messages{});
}

TEST(Messages, ABackslashAtTheEndGoesOn) {
  EXPECT_EQ(messages_of({"one\\", "two\\", "three", "four"}),
            (Messages{"one\ntwo\nthree", "four"}));
}

TEST(Messages, ThreeQuotesHoldLinesTogether) {
  EXPECT_EQ(messages_of({"\"\"\"def f():", "", "  return 1\"\"\"", "next"}),
            (Messages{"def f():\n\n  return 1", "next"}));
  EXPECT_EQ(messages_of({"say \"\"\"this\"\"\" now"}), (Messages{"say this now"}));
}

TEST(Messages, ABackslashWithinQuotesIsText) {
  EXPECT_EQ(messages_of({"\"\"\"a\\", "b\"\"\""}), (Messages{"a\\\nb"}));
}

TEST(Messages, TheEndOfInputEndsAMessage) {
  EXPECT_EQ(messages_of({"one\\"}), (Messages{"one"}));
  EXPECT_EQ(messages_of({"\"\"\"open", "still"}), (Messages{"open\nstill"}));
}

TEST(Messages, TheSourceIsToldWhatContinues) {
  std::string asked;
  int calls = 0;
  read_message([&](bool goes_on) -> std::optional<std::string> {
    asked += goes_on ? 'c' : 'f';
    return ++calls < 3 ? "x\\" : "x";
  });
  EXPECT_EQ(asked, "fcc");
}

}  // namespace
}  // namespace dsrasq::cli
