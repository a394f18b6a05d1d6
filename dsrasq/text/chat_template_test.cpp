#include "dsrasq/text/chat_template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"

namespace dsrasq::text {
namespace {

using Json = nlohmann::ordered_json;

std::string render(const std::string& source, const Json& variables = Json::object()) {
  ChatInput input;
  input.extra = &variables;
  return ChatTemplate(source).render(input);
}

// The message of the error, which must be of the kind for bad files.
std::string error_of(const std::string& source, const Json& variables = Json::object()) {
  try {
    const std::string text = render(source, variables);
    ADD_FAILURE() << "no throw, but " << text.substr(0, 200);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput) << e.what();
    return e.what();
  }
  return {};
}

void expect_error(const std::string& source, const std::string& wanted) {
  const std::string message = error_of(source);
  EXPECT_NE(message.find(wanted), std::string::npos) << source << "\n" << message;
}

TEST(ChatTemplateTest, FallbackWritesRolesAndStopsAtTheNextUser) {
  ChatInput input;
  input.bos_token = "<bos>";
  input.messages = {
      {"system", " Be brief.\n"}, {"user", "Hi"}, {"assistant", "Hello"}, {"user", " Bye "}};
  const ChatTemplate plain = ChatTemplate::fallback();
  EXPECT_EQ(plain.render(input),
            "<bos>Be brief.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Bye\n\nAssistant:");
  EXPECT_EQ(plain.stop_strings(), std::vector<std::string>{"\nUser:"});
  input.messages = {{"tool", "21"}};
  input.add_generation_prompt = false;
  EXPECT_EQ(plain.render(input), "<bos>Tool: 21\n\n");
}

TEST(ChatTemplateTest, VariablesOfTransformersAreSet) {
  ChatInput input;
  input.eos_token = "<eos>";
  input.messages = {{"user", "x"}};
  EXPECT_EQ(ChatTemplate("{{ tools is none }} {{ documents is none }} {{ add_generation_prompt }} "
                         "{{ messages }} {{ eos_token }}")
                .render(input),
            "True True True [{'role': 'user', 'content': 'x'}] <eos>");
}

TEST(ChatTemplateTest, ExtraVariablesWinAndKeepTheOrderOfTheirKeys) {
  const Json extra =
      Json::parse(R"({"messages": [1], "tools": [{"z": 1, "a": {"y": 2, "b": 3}}]})");
  EXPECT_EQ(render("{{ messages }} {{ tools | tojson }}", extra),
            R"([1] [{"z": 1, "a": {"y": 2, "b": 3}}])");
}

TEST(ChatTemplateTest, OneTemplateRendersManyTimes) {
  const ChatTemplate chat("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}");
  EXPECT_EQ(chat.render({}), "1");
  EXPECT_EQ(chat.render({}), "1");
}

TEST(ChatTemplateTest, DateIsTheLocalTimeUnlessGiven) {
  ChatInput input;
  std::tm day{};
  day.tm_year = 99;
  day.tm_mon = 11;
  day.tm_mday = 31;
  input.now = day;
  const ChatTemplate chat("{{ strftime_now('%d %b %Y') }}");
  EXPECT_EQ(chat.render(input), "31 Dec 1999");
  EXPECT_EQ(chat.render({}).size(), 11u);
}

TEST(ChatTemplateTest, ErrorsNameLineAndConstruct) {
  expect_error("a\n{{ 1 + 'x' }}",
               "template line 2: operator '+': unsupported operand types for +: 'int' and 'str'");
  expect_error("\n\n{{ 'x' | nope }}", "template line 3: filter 'nope': there is no filter named");
  expect_error("{{ 3 is nope }}", "line 1: test 'nope': there is no test named 'nope'");
  expect_error("{{ missing.x }}", "line 1: attribute 'x': 'missing' is undefined");
  expect_error("{{ bos_token.x.y }}", "attribute 'y': 'str object' has no attribute 'x'");
  expect_error("{{ none.x() }}", "call of 'x': None has no attribute 'x'");
  expect_error("{{ 'a'.upper(1) }}", "call of 'upper': takes at most 0 arguments, not 1");
  expect_error("{{ 'a' | replace('b') }}", "filter 'replace': is missing its argument 'new'");
  expect_error("{{ 'a' | trim(x=1) }}", "filter 'trim': has no parameter 'x'");
  expect_error("{{ messages.append(1) }}",
               "access to attribute 'append' of 'list' object is unsafe");
  expect_error("{{ 1 < 'a' }}", "comparison '<': 'int' and 'str' have no order");
  expect_error("{% for x in 3 %}{% endfor %}", "line 1: 'int' object is not iterable");
  expect_error("{% if true %}\n\n{{ raise_exception('roles!') }}{% endif %}",
               "template line 3: call of 'raise_exception': roles!");
}

TEST(ChatTemplateTest, SyntaxErrorsNameLineAndWhatWasWanted) {
  expect_error("{% if x %}\n{{ 1 }}", "template line 1: the block that begins here has no 'endif'");
  expect_error("{% for x in y %}{% endif %}",
               "found 'endif', want 'endfor' for the block of line 1");
  expect_error("\n{{ 1 }", "line 2: unexpected '}'");
  expect_error("{{ x", "line 1: the tag that begins here has no end");
  expect_error("{{ 'x }}", "the string that begins here has no end");
  expect_error("{# x", "the comment that begins here has no end");
  expect_error("{% raw %}x", "the raw block that begins here has no end");
  expect_error("{% include 'x' %}", "statement 'include' is not supported");
  expect_error("{% for x in y recursive %}{% endfor %}", "recursive loops are not supported");
  expect_error("{% break %}", "'break' outside of a loop");
  expect_error("{{ 1 2 }}", "found '2', want '}}'");
  expect_error("{% endif %}", "'endif' does not close anything");
  expect_error("{{ 99999999999999999999 }}", "number 99999999999999999999 is out of range");
}

TEST(ChatTemplateTest, LoopsAreLimited) {
  expect_error("{% for a in range(2000) %}{% for b in range(2000) %}{% endfor %}{% endfor %}",
               "loops run more than 1000000 times");
}

TEST(ChatTemplateTest, OutputIsLimited) {
  expect_error(
      "{% set ns = namespace(s='x' * 1000000) %}"
      "{% for i in range(100) %}{{ ns.s }}{% endfor %}",
      "a text is longer than 64 MiB");
}

TEST(ChatTemplateTest, MemoryAndWorkAreLimited) {
  const std::string doubled = "{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}";
  expect_error("{% set ns = namespace(s='x') %}" + doubled, "a text is longer than 64 MiB");
  const std::string listed = "{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}";
  expect_error("{% set ns = namespace(s=[1]) %}" + listed, "too much work or memory");
  expect_error("{{ 'x' * 99999999999 }}", "the result is too large");
  expect_error("{{ [1, 2] * 4611686018427387904 }}", "the result is too large");
  // 2^99 values, though few objects: printing and comparing must give up.
  const std::string shared =
      "{% set ns = namespace(s=[1]) %}{% set other = namespace(s=[1]) %}"
      "{% for i in range(98) %}{% set ns.s = [ns.s, ns.s] %}"
      "{% set other.s = [other.s, other.s] %}{% endfor %}";
  expect_error(shared + "{{ ns.s }}", "too much work or memory");
  expect_error(shared + "{{ ns.s | tojson }}", "too much work or memory");
  expect_error(shared + "{{ ns.s == other.s }}", "too much work or memory");
  expect_error("{{ 'x' | indent(100000) }}", "an indentation of 100000 is too wide");
  expect_error("{{ range(100001) }}", "has more than 100000 items");
}

TEST(ChatTemplateTest, RecursionIsLimited) {
  expect_error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested more than 1000 deep");
  expect_error(
      "{% set ns = namespace(s=1) %}{% for i in range(200) %}{% set ns.s = [ns.s] %}"
      "{% endfor %}",
      "values are nested more than 100 deep");
  expect_error("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}",
               "nested more");
  expect_error("{{ " + std::string(5000, '-') + "1 }}", "nested more");
  std::string deep, sum = "1";
  for (int i = 0; i < 5000; ++i) deep += "{% if 1 %}";
  for (int i = 0; i < 5000; ++i) sum += "+1";
  expect_error(deep, "nested more");
  expect_error("{{ " + sum + " }}", "nested more");
  std::string nots;
  for (int i = 0; i < 5000; ++i) nots += "not ";
  expect_error("{{ " + nots + "1 }}", "nested more");
}

TEST(ChatTemplateTest, CirclesOfNamespacesAndMacrosAreFreed) {
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.me = ns %}"
                   "{% macro f() %}x{% endmacro %}{% set ns.f = f %}{{ ns.me.me.f() }}"),
            "x");
  expect_error("{% for i in range(20000) %}{% set ns = namespace(a=1) %}{% endfor %}",
               "call of 'namespace': was called more than 10000 times");
  expect_error("{% for i in range(20000) %}{% macro f() %}{% endmacro %}{% endfor %}",
               "more than 10000 macros are defined");
  expect_error("{% for i in [1] %}{% set x = [loop] %}{% endfor %}",
               "a loop variable cannot be put into a list or dict");
}

TEST(ChatTemplateTest, HostileVariablesAreRefused) {
  Json deep = 1;
  for (int i = 0; i < 300; ++i) deep = Json::array({deep});
  EXPECT_NE(error_of("x", {{"tools", deep}}).find("template variable 'tools': JSON is nested"),
            std::string::npos);
  EXPECT_NE(error_of("x", {{"n", 18446744073709551615ull}}).find("does not fit 64 bits"),
            std::string::npos);
  EXPECT_NE(error_of("x", Json::array()).find("not a JSON object"), std::string::npos);
}

TEST(ChatTemplateTest, IntegersThatDoNotFitAreErrors) {
  expect_error("{{ 9223372036854775807 + 1 }}", "an integer does not fit 64 bits");
  expect_error("{{ 2 ** 64 }}", "an integer does not fit 64 bits");
  expect_error("{{ (-9223372036854775807 - 1) // -1 }}", "an integer does not fit 64 bits");
  EXPECT_EQ(render("{{ (-9223372036854775807 - 1) % -1 }}"), "0");
}

TEST(ChatTemplateTest, BytesThatAreNotUtf8ArePassedThrough) {
  ChatInput input;
  input.messages = {{"user", "a\xFF\xC3(b"}};
  EXPECT_EQ(ChatTemplate("{{ messages[0].content | trim }} {{ messages[0].content | length }} "
                         "{{ messages[0].content[1] | tojson }} {{ messages[0].content | upper }}")
                .render(input),
            "a\xFF\xC3(b 5 \"\xFF\" A\xFF\xC3(B");
}

TEST(ChatTemplateTest, HugeTemplateIsRefused) {
  expect_error(std::string((1 << 20) + 1, 'x'), "the template has 1048577 bytes");
}

}  // namespace
}  // namespace dsrasq::text
