// Templates against what transformers and jinja2 made of them. The expected texts come from
// tools/make_golden_chat_templates.py.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/text/chat_template.h"

namespace dsrasq::text {
namespace {

using Json = nlohmann::ordered_json;

const Json& golden() {
  static const Json json = Json::parse(read_file("tests/golden/chat_templates/cases.json"));
  return json;
}

ChatInput base_input() {
  ChatInput input;
  input.bos_token = "<bos>";
  input.eos_token = "<eos>";
  std::tm now{};  // Saturday, 2024-07-06 13:05:09
  now.tm_year = 124;
  now.tm_mon = 6;
  now.tm_mday = 6;
  now.tm_hour = 13;
  now.tm_min = 5;
  now.tm_sec = 9;
  now.tm_wday = 6;
  now.tm_yday = 187;
  input.now = now;
  return input;
}

// Compares with the text, or expects an error that names a line where Python raised one.
void check(const Json& expected, const std::string& source, const ChatInput& input,
           const std::string& where) {
  std::string text;
  try {
    text = ChatTemplate(source).render(input);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput) << where;
    EXPECT_NE(std::string(e.what()).find("template line "), std::string::npos) << e.what();
    EXPECT_TRUE(expected.contains("error")) << where << "\nwe fail:   " << e.what();
    return;
  }
  ASSERT_TRUE(expected.contains("want"))
      << where << "\nwe render: " << text << "\nPython:    " << expected["error"];
  EXPECT_EQ(text, expected["want"].get<std::string>()) << where;
}

TEST(ChatTemplateGoldenTest, ChatsRenderAsInTransformers) {
  const Json& data = golden();
  size_t n_cases = 0;
  for (const Json& chat : data["chats"]) {
    Json extra = chat["extra"];
    extra["messages"] = data["lists"][chat["messages"].get<std::string>()];
    ChatInput input = base_input();
    input.extra = &extra;
    check(chat, data["templates"][chat["template"].get<std::string>()].get<std::string>(), input,
          concat(chat["template"], " of ", chat["messages"], " with ", chat["extra"]));
    ++n_cases;
  }
  EXPECT_GT(n_cases, 150u);
}

TEST(ChatTemplateGoldenTest, PlainMessagesRenderAsTheSameMessagesInJson) {
  const Json& data = golden();
  for (const Json& chat : data["chats"]) {
    const Json& messages = data["lists"][chat["messages"].get<std::string>()];
    ChatInput input = base_input();
    for (const Json& message : messages) {
      if (message.size() != 2 || !message["content"].is_string()) break;
      input.messages.push_back({message["role"], message["content"]});
    }
    if (input.messages.size() != messages.size() || chat["extra"].size() != 1) continue;
    input.add_generation_prompt = chat["extra"]["add_generation_prompt"];
    check(chat, data["templates"][chat["template"].get<std::string>()].get<std::string>(), input,
          concat(chat["template"], " of ", chat["messages"]));
  }
}

TEST(ChatTemplateGoldenTest, EveryConstructRendersAsInJinja2) {
  const Json variables =
      Json::parse(read_file("tests/golden/chat_templates/snippets.json"))["variables"];
  size_t n_cases = 0;
  for (const Json& snippet : golden()["snippets"]) {
    ChatInput input = base_input();
    input.extra = &variables;
    const std::string source = snippet["source"];
    check(snippet, source, input, source);
    ++n_cases;
  }
  EXPECT_GT(n_cases, 240u);
}

}  // namespace
}  // namespace dsrasq::text
