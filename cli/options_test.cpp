#include "cli/options.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/test_text.h"
#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"

namespace dsrasq::cli {
namespace {

using Words = std::vector<std::string>;

const HelpText kHelp{"ask", "answers a question about files",
                     "  dsrasq ask --context a.txt \"Why?\"\n"};

struct Config {
  Words context;
  std::string question, config, output;
  int64_t window = 512;
  double temperature = 0;
  bool show = false, resume = true;
  std::vector<int64_t> lengths{1024};

  template <class V>
  void visit(V&& v) {
    v(context, "context", "files to read");
    v(question, "QUESTION", "what to answer");
    v(config, "config", "file with options");
    v(output, "output", "file to write");
    v(window, "window", "recent tokens");
    v(temperature, "temperature", "of the sampling");
    v(show, "show", "print passages");
    v(resume, "resume", "go on");
    v(lengths, "lengths", "lengths to try");
  }
};

struct Parsed : Config {
  explicit Parsed(const Words& words) {
    FieldList list;
    list.add(static_cast<Config&>(*this));
    parse_options(kHelp, list, words);
  }
};

std::string refusal(const Words& words, ErrorCode code = ErrorCode::kInvalidArgument) {
  try {
    Parsed parsed(words);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code);
    return e.what();
  }
  return "nothing was thrown";
}

class ConfigFile : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = (std::filesystem::path(testing::TempDir()) / name).string();
    write_file(path, text);
    return path;
  }
};

TEST(Options, AreReadInAnyOrderAroundTheArguments) {
  const Parsed parsed({"--show", "Why?", "--window=64", "-o", "x", "--context", "a", "b",
                       "--lengths", "1,2", "--temperature", "0.5"});
  EXPECT_TRUE(parsed.show);
  EXPECT_EQ(parsed.question, "Why?");
  EXPECT_EQ(parsed.window, 64);
  EXPECT_EQ(parsed.output, "x");
  EXPECT_EQ(parsed.context, (Words{"a", "b"}));
  EXPECT_EQ(parsed.lengths, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(parsed.temperature, 0.5);
}

TEST(Options, KeepTheirDefaultsWhenNotGiven) {
  const Parsed parsed(Words{});
  EXPECT_EQ(parsed.window, 512);
  EXPECT_FALSE(parsed.show);
  EXPECT_EQ(parsed.lengths, (std::vector<int64_t>{1024}));
}

TEST(Options, GivenTwiceTheLastOneCounts) {
  EXPECT_EQ(Parsed({"--window", "1", "--window", "2"}).window, 2);
  EXPECT_EQ(Parsed({"--context", "a", "--window", "1", "--context", "b"}).context,
            (Words{"a", "b"}));
}

TEST(Options, BehindTheMarkNothingIsAnOption) {
  // CLI11 alone takes the mark behind a list for the end of the list.
  for (const Words& before : {Words{"--context", "a", "b"}, Words{"--context", "a", "b", "--show"},
                              Words{"--lengths", "1,2", "--context=a", "--context", "b"}}) {
    Words words = before;
    words.insert(words.end(), {"--", "--why?"});
    const Parsed parsed(words);
    EXPECT_EQ(parsed.question, "--why?");
    EXPECT_EQ(parsed.context, (Words{"a", "b"}));
  }
}

TEST(Options, AFlagThatIsOnCanBeTurnedOff) {
  EXPECT_TRUE(Parsed(Words{}).resume);
  EXPECT_TRUE(Parsed({"--resume"}).resume);
  EXPECT_FALSE(Parsed({"--no-resume"}).resume);
  EXPECT_FALSE(Parsed({"--resume=false"}).resume);
}

TEST(Options, ANegativeNumberIsAValue) {
  EXPECT_EQ(Parsed({"--temperature", "-1"}).temperature, -1);
  EXPECT_EQ(Parsed({"--window=-5"}).window, -5);
}

TEST(Options, WordsAfterTwoDashesAreArguments) {
  EXPECT_EQ(Parsed({"--", "--why"}).question, "--why");
}

TEST(Options, AnUnknownOneIsNamedWithTheNearest) {
  EXPECT_TRUE(contains(refusal({"--widnow", "3"}),
                       "unknown option --widnow of ask; did you mean --window?"));
  EXPECT_TRUE(refusal({"--frobnicate=3"}).ends_with("unknown option --frobnicate of ask"));
  EXPECT_TRUE(contains(refusal({"-x"}), "unknown option -x of ask"));
}

TEST(Options, AnArgumentTooMuchIsQuoted) {
  EXPECT_TRUE(contains(refusal({"Why?", "Where?"}), "unexpected argument \"Where?\" of ask"));
}

TEST(Options, AMissingValueNamesTheOption) {
  EXPECT_TRUE(contains(refusal({"--window"}), "--window"));
  EXPECT_TRUE(contains(refusal({"--context"}), "--context"));
}

TEST(Options, AWrongValueNamesTheOption) {
  EXPECT_TRUE(contains(refusal({"--window", "many"}), "--window is \"many\", want a whole number"));
}

TEST(Options, HelpIsWantedOnlyBeforeTwoDashes) {
  EXPECT_TRUE(wants_help({"a", "--help"}));
  EXPECT_TRUE(wants_help({"-h"}));
  EXPECT_FALSE(wants_help({"--", "--help"}));
}

TEST(Options, HelpShowsDefaultsAndExamples) {
  Config config;
  FieldList list;
  list.add(config);
  const std::string page = help_page(kHelp, list);
  EXPECT_TRUE(contains(page, "--window INT=512"));
  EXPECT_TRUE(contains(page, "recent tokens"));
  EXPECT_TRUE(contains(page, "QUESTION"));
  EXPECT_TRUE(contains(page, "dsrasq ask --context a.txt"));
  EXPECT_TRUE(contains(page, "-o,--output"));
}

TEST_F(ConfigFile, LiesBetweenDefaultsAndTheCommandLine) {
  const std::string path = write(
      "options.json",
      R"({"window": 64, "temperature": 0.5, "show": true, "lengths": [7, 8], "context": ["f"]})");
  const Parsed parsed({"--config", path, "--window", "32"});
  EXPECT_EQ(parsed.window, 32);
  EXPECT_EQ(parsed.temperature, 0.5);
  EXPECT_TRUE(parsed.show);
  EXPECT_EQ(parsed.lengths, (std::vector<int64_t>{7, 8}));
  EXPECT_EQ(parsed.context, (Words{"f"}));
}

TEST_F(ConfigFile, MayBeTomlWithATableForEachCommand) {
  const std::string path =
      write("options.toml",
            "window = 64\n[ask]\ntemperature = 0.5\nlengths = [7, 8]\n[digest]\nanything = 3\n");
  const Parsed parsed({"--config", path});
  EXPECT_EQ(parsed.window, 64);
  EXPECT_EQ(parsed.temperature, 0.5);
  EXPECT_EQ(parsed.lengths, (std::vector<int64_t>{7, 8}));
}

TEST_F(ConfigFile, TheResolvedConfigurationCanBeReadAgain) {
  Parsed first({"--window", "99", "Why?", "--context", "a", "b", "--lengths", "3,4"});
  FieldList list;
  list.add(static_cast<Config&>(first));
  nlohmann::ordered_json dump = list.json();
  dump.erase("config");
  const std::string path = write("resolved.json", dump.dump());
  Parsed second({"--config", path});
  FieldList again;
  again.add(static_cast<Config&>(second));
  nlohmann::ordered_json second_dump = again.json();
  second_dump.erase("config");
  EXPECT_EQ(dump, second_dump);
}

TEST_F(ConfigFile, AnUnknownKeyIsNamedWithTheNearest) {
  const std::string path = write("wrong.json", R"({"windw": 64})");
  EXPECT_TRUE(contains(refusal({"--config", path}),
                       path + ": unknown key \"windw\" of ask; did you mean window?"));
  EXPECT_TRUE(contains(refusal({"--config", write("wrong.toml", "[ask]\nfoo-bar = 1\n")}),
                       "unknown key \"foo-bar\" of ask"));
}

TEST_F(ConfigFile, AWrongValueNamesTheFileAndTheOption) {
  const std::string path = write("value.json", R"({"window": "wide"})");
  EXPECT_TRUE(
      contains(refusal({"--config", path}), path + ": --window is \"wide\", want a whole number"));
}

TEST_F(ConfigFile, OneThatIsNotThereOrNotAnObjectIsABadInput) {
  EXPECT_TRUE(contains(refusal({"--config", "no-such-file.json"}, ErrorCode::kBadInput),
                       "no-such-file.json"));
  EXPECT_TRUE(contains(refusal({"--config", write("array.json", "[1]")}, ErrorCode::kBadInput),
                       "not a JSON object"));
  EXPECT_TRUE(
      contains(refusal({"--config", write("cut.json", "{\"window\": ")}, ErrorCode::kBadInput),
               "not a JSON object"));
}

}  // namespace
}  // namespace dsrasq::cli
