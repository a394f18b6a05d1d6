// Every format on a file of its official shape.

#include "dsrasq/data/task_formats.h"

#include "dsrasq/data/task_reader.h"
#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

using Texts = std::vector<std::string>;

class TaskFormatsTest : public FilesTest {
 protected:
  std::vector<TaskSample> read(const std::string& name, std::string_view bytes) {
    TaskReader reader({write(name, bytes).string()}, "auto");
    std::vector<TaskSample> samples;
    while (auto sample = reader.next()) samples.push_back(std::move(*sample));
    return samples;
  }
  std::string refusal(std::string_view bytes) {
    return message_of([&] { read("bad", bytes); });
  }
  // The file with one part replaced.
  std::string refusal(std::string bytes, std::string_view part, std::string_view by) {
    const size_t at = bytes.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    return refusal(bytes.replace(at, part.size(), by));
  }
};

#define EXPECT_REFUSAL(part, ...)                                          \
  do {                                                                     \
    const std::string message = refusal(__VA_ARGS__);                      \
    EXPECT_TRUE(contains(message, part)) << message << "\nwant: " << part; \
  } while (false)

const char* const kHotpot = R"([{"_id": "5a7", "answer": "no", "question": "Same town?",
  "supporting_facts": [["Ann", 0], ["Bo", 1]], "type": "comparison", "level": "hard",
  "context": [["Ann", ["Ann is from Ulm.", " She sings."]], ["Cy", ["Cy."]],
              ["Bo", ["Bo is.", " From Rom."]]]}, {"_id": 7, "answer": "x", "question": "q",
  "context": [["A", ["B"]]]}])";

TEST_F(TaskFormatsTest, HotpotQa) {
  const auto samples = read("dev.json", kHotpot);
  ASSERT_EQ(samples.size(), 2u);
  const TaskSample& first = samples[0];
  EXPECT_EQ(first.format, TaskFormat::kHotpotQa);
  EXPECT_EQ(first.id, "5a7");
  EXPECT_EQ(first.question, "Same town?");
  EXPECT_EQ(first.references, Texts{"no"});
  ASSERT_EQ(first.documents.size(), 3u);
  EXPECT_EQ(first.documents[0].title, "Ann");
  EXPECT_EQ(first.documents[0].text, "Ann is from Ulm. She sings.");
  EXPECT_TRUE(first.documents[0].is_supporting);
  EXPECT_FALSE(first.documents[1].is_supporting);
  EXPECT_TRUE(first.documents[2].is_supporting);
  EXPECT_EQ(samples[1].id, "7");

  EXPECT_REFUSAL("record 1 (line 1) lacks \"answer\"", kHotpot, "\"answer\"", "\"anser\"");
  EXPECT_REFUSAL("record 1 (line 1): answer is empty", kHotpot, "\"no\"", "\"\"");
  EXPECT_REFUSAL("record 2 (line 4): answer is no string", kHotpot, "\"x\"", "3");
  EXPECT_REFUSAL("context[1][1] is no array", kHotpot, "[\"Cy.\"]", "\"Cy.\"");
  EXPECT_REFUSAL("context[1] has only 1 items", kHotpot, ", [\"Cy.\"]", "");
  EXPECT_REFUSAL("sample 7 is there twice", kHotpot, "\"5a7\"", "7");
  EXPECT_REFUSAL("sample 7 has no text to read", kHotpot, "[[\"A\", [\"B\"]]]", "[[\"A\", []]]");
}

TEST_F(TaskFormatsTest, Musique) {
  const std::string text = R"({"id": "2hop__1", "question": "Who?", "answer": "Stan Hall",
    "answer_aliases": ["Hall"], "answerable": true, "paragraphs": [
      {"idx": 0, "title": "T", "paragraph_text": "one", "is_supporting": false},
      {"idx": 1, "title": "U", "paragraph_text": "two", "is_supporting": true}]})";
  const auto samples = read("musique.jsonl", text);
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].task, "musique");
  EXPECT_EQ(samples[0].references, (Texts{"Stan Hall", "Hall"}));
  EXPECT_EQ(samples[0].documents[1].title, "U");
  EXPECT_EQ(samples[0].documents[1].text, "two");
  EXPECT_FALSE(samples[0].documents[0].is_supporting);
  EXPECT_TRUE(samples[0].documents[1].is_supporting);
  EXPECT_REFUSAL("answerable is false", text, "true", "false");
  EXPECT_REFUSAL("answer_aliases[0] is empty", text, "[\"Hall\"]", "[\" \"]");
  EXPECT_REFUSAL("paragraphs[0] lacks \"paragraph_text\"", text, "paragraph_text", "text");
}

TEST_F(TaskFormatsTest, NqOpen) {
  const std::string text = R"({"question": "who", "answers": ["R", "W R"], "ctxs": [
    {"title": "T", "text": "x", "isgold": true}, {"title": "U", "text": "y"}]}
    {"question": "when", "answers": ["1901"], "ctxs": [{"title": "T", "text": "x"}]})";
  const auto samples = read("nq.jsonl.xz", xz(text));
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].task, "nq");
  EXPECT_EQ(samples[1].id, "2");
  EXPECT_EQ(samples[0].references, (Texts{"R", "W R"}));
  EXPECT_TRUE(samples[0].documents[0].is_supporting);
  EXPECT_FALSE(samples[0].documents[1].is_supporting);
  EXPECT_REFUSAL("record 2 (line 3): answers is empty", text, "[\"1901\"]", "[]");
}

TEST_F(TaskFormatsTest, Squad) {
  const std::string text = R"({"version": "1.1", "data": [{"title": "Bowl", "paragraphs": [
    {"context": "308 points.", "qas": [
      {"id": "a", "question": "How many?", "answers": [{"text": "308", "answer_start": 0},
        {"text": "308", "answer_start": 0}, {"text": "308 points", "answer_start": 0}]},
      {"id": "b", "question": "What?", "answers": [{"text": "points", "answer_start": 4}]}]}]}]})";
  const auto samples = read("squad.json", text);
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].documents[0].title, "Bowl");
  EXPECT_EQ(samples[1].documents[0].text, "308 points.");
  EXPECT_EQ(samples[0].references, (Texts{"308", "308 points"}));
  EXPECT_REFUSAL("data[0].paragraphs[0].qas[1].answers is empty: only questions with an answer",
                 text, R"([{"text": "points", "answer_start": 4}])", "[]");
}

TEST_F(TaskFormatsTest, MultiRc) {
  const std::string text = R"({"idx": 3, "version": 1.1, "passage": {"text": "A force.",
    "questions": [{"idx": 8, "question": "Which?", "answers": [
      {"idx": 20, "text": "Mass", "label": 0}, {"idx": 21, "text": "Force", "label": 1}]},
      {"idx": 9, "question": "None?", "answers": [{"idx": 22, "text": "", "label": 0}]}]}})";
  const auto samples = read("multirc.jsonl", text);
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].id, "3/8");
  EXPECT_TRUE(samples[0].references.empty());
  ASSERT_EQ(samples[0].options.size(), 2u);
  EXPECT_EQ(samples[0].options[1].text, "Force");
  EXPECT_FALSE(samples[0].options[0].is_right);
  EXPECT_TRUE(samples[0].options[1].is_right);
  EXPECT_REFUSAL("questions[0].answers[0] lacks \"label\"", text, ", \"label\": 0", "");
  EXPECT_REFUSAL("label is no whole number from 0 to 1", text, "\"label\": 1", "\"label\": 2");
}

TEST_F(TaskFormatsTest, Summaries) {
  const auto samples = read("news.jsonl", R"({"document": "Long.", "summary": "L."}
    {"id": "x9", "article": "Longer.", "highlights": "LL.\nM."}
    {"id": "77", "dialogue": "A: hi\r\nB: hi", "summary": "They greet."})");
  ASSERT_EQ(samples.size(), 3u);
  EXPECT_EQ(samples[0].id, "1");
  EXPECT_EQ(samples[0].task, "news");
  EXPECT_EQ(samples[1].id, "x9");
  EXPECT_EQ(samples[1].references, Texts{"LL.\nM."});
  EXPECT_EQ(samples[2].documents[0].text, "A: hi\r\nB: hi");
  EXPECT_REFUSAL("lacks \"summary\"", R"({"document": "Long."})");
  EXPECT_REFUSAL("record 2 (line 2) lacks \"document\"",
                 "{\"document\":\"a\",\"summary\":\"b\"}\n{}");
}

TEST_F(TaskFormatsTest, Qmsum) {
  const std::string text = R"({"topic_list": [], "general_query_list":
      [{"query": "Summarize", "answer": "They met."}],
    "specific_query_list": [{"query": "What of B?", "answer": "B left.",
      "relevant_text_span": [["1", "2"]]}],
    "meeting_transcripts": [{"speaker": "A", "content": "Hello ."},
      {"speaker": "B", "content": "I go ."}, {"speaker": "A", "content": "Bye ."}]})";
  const auto samples = read("ES2013c.json", text);
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].id, "ES2013c/general/0");
  EXPECT_EQ(samples[1].id, "ES2013c/specific/0");
  EXPECT_EQ(samples[1].task, "qmsum_specific");
  EXPECT_EQ(samples[1].documents[1].title, "B");
  EXPECT_FALSE(samples[1].documents[0].is_supporting);
  EXPECT_TRUE(samples[1].documents[2].is_supporting);
  EXPECT_FALSE(samples[0].documents[2].is_supporting);
  EXPECT_REFUSAL("relevant_text_span[0][1] is no number of one of the 3 turns", text, "\"2\"",
                 "\"3\"");
}

TEST_F(TaskFormatsTest, LongBench) {
  const std::string text = R"({"input": "What?", "context": "Words.", "answers": ["NUM"],
    "length": 1, "dataset": "trec", "language": "en", "all_classes": ["NUM", "LOC"], "_id": "e4"})";
  const auto samples = read("trec.jsonl", text);
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].task, "trec");
  EXPECT_EQ(samples[0].question, "What?");
  EXPECT_TRUE(samples[0].options[0].is_right);
  EXPECT_FALSE(samples[0].options[1].is_right);
  EXPECT_REFUSAL("lacks \"dataset\"", text, "dataset", "set");
  EXPECT_REFUSAL("answers[0] is empty", text, "[\"NUM\"]", "[\"\"]");
}

TEST_F(TaskFormatsTest, RulerIsNamedAfterItsFolder) {
  const std::string text = R"({"index": 0, "input": "A special magic uuid", "outputs": ["1ee", "2"],
    "length": 3181, "answer_prefix": " The uuid is"})";
  std::filesystem::create_directory(folder_ / "niah_single_1");
  const auto samples = read("niah_single_1/validation.jsonl", text);
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].task, "niah_single_1");
  EXPECT_EQ(samples[0].id, "0");
  EXPECT_EQ(samples[0].answer_start, " The uuid is");
  EXPECT_EQ(samples[0].references, (Texts{"1ee", "2"}));
  EXPECT_REFUSAL("outputs is empty", text, "[\"1ee\", \"2\"]", "[]");
}

TEST_F(TaskFormatsTest, RulersQuestionIsTheLastLineThatAsks) {
  const auto parts = [&](const std::string& input) {
    const auto samples =
        read("r.jsonl", R"({"index": 0, "input": ")" + input + R"(", "outputs": ["1"]})");
    return std::pair(samples.at(0).documents.at(0).text, samples.at(0).question);
  };
  using Parts = std::pair<std::string, std::string>;
  EXPECT_EQ(parts(R"(Some text.\nWhat is the special magic uuid for a?)"),
            Parts("Some text.\n", "What is the special magic uuid for a?"));
  EXPECT_EQ(parts(R"(T.\nWhat are all the special magic numbers for a?)").second,
            "What are all the special magic numbers for a?");
  EXPECT_EQ(parts(R"(Q\nQuestion: one?\nAnswer: x\nQuestion: two? Answer:)"),
            Parts("Q\nQuestion: one?\nAnswer: x\n", "Question: two? Answer:"));
  EXPECT_EQ(parts(R"(What is the special magic?)"), Parts("What is the special magic?", ""));
}

TEST_F(TaskFormatsTest, KeysAndValues) {
  const std::string text =
      R"({"ordered_kv_records": [["k1", "v1"], ["k2", "v2"]], "key": "k2", "value": "v2"})";
  const auto samples = read("kv.jsonl", text);
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].question, "k2");
  EXPECT_EQ(samples[0].references, Texts{"v2"});
  EXPECT_EQ(samples[0].documents[0].title, "k1");
  EXPECT_TRUE(samples[0].documents[1].is_supporting);
  EXPECT_REFUSAL("key is not in ordered_kv_records with this value", text, "\"value\": \"v2\"",
                 "\"value\": \"v1\"");
}

TEST_F(TaskFormatsTest, BabiStories) {
  const std::string text =
      "1 Mary went to the hall.\n2 Bill took milk.\n3 Where is Mary? \thall\t1\n"
      "4 Mary left.\n5 Is Bill here?\tno\t4 2\n1 New story.\n2 Why?\tbored,sad\n";
  const auto samples = read("qa15_deduction_test.txt", text);
  ASSERT_EQ(samples.size(), 3u);
  EXPECT_EQ(samples[0].task, "qa15");
  EXPECT_EQ(samples[0].id, "1/3");
  EXPECT_EQ(samples[0].question, "Where is Mary?");
  EXPECT_EQ(samples[0].references, Texts{"hall"});
  EXPECT_EQ(samples[1].documents.size(), 3u);  // questions are not read
  EXPECT_TRUE(samples[1].documents[1].is_supporting);
  EXPECT_TRUE(samples[1].documents[2].is_supporting);
  EXPECT_EQ(samples[2].id, "2/2");
  EXPECT_EQ(samples[2].documents.size(), 1u);
  EXPECT_EQ(samples[2].references, Texts{"bored,sad"});
  EXPECT_REFUSAL("line 4: its number is 5, want 4 or 1", text, "4 Mary", "5 Mary");
  EXPECT_REFUSAL("line 2: want a number, a space and a text", text, "2 Bill", "Bill");
  EXPECT_REFUSAL("line 3: there is no answer behind the tab", text, "hall\t1", "");
  EXPECT_REFUSAL("line 5: a supporting fact is no number of a statement before it", text, "4 2",
                 "4 3");
}

TEST_F(TaskFormatsTest, ParallelLines) {
  const std::string en = write("t.en", "Hi.\nBye.\n").string();
  const std::string de = write("t.de", "Hallo.\nTschuess.\n").string();
  const std::string other = write("u.de.xz", xz("Servus.\nCiao.\n")).string();
  TaskReader reader({en, de, other}, "parallel");
  std::vector<TaskSample> samples;
  while (auto sample = reader.next()) samples.push_back(*sample);
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[1].id, "2");
  EXPECT_EQ(samples[1].task, "en-de");
  EXPECT_EQ(samples[1].from_language, "en");
  EXPECT_EQ(samples[1].to_language, "de");
  EXPECT_EQ(samples[1].documents[0].text, "Bye.");
  EXPECT_EQ(samples[1].references, (Texts{"Tschuess.", "Ciao."}));

  const std::string shorter = write("v.de", "Hallo.\n").string();
  const auto read_all = [](const Texts& paths) {
    TaskReader all(paths, "parallel");
    while (all.next()) {
    }
  };
  const std::string message = message_of([&] { read_all({en, shorter}); });
  EXPECT_TRUE(contains(message, "v.de are not line by line")) << message;
  EXPECT_TRUE(contains(message, "v.de ends after 1 lines")) << message;
  EXPECT_THROW(read_all({en}), Error);
  EXPECT_THROW(read_all({en, de, en}), Error);
  const std::string gaps = write("w.de", "Hallo.\n\n").string();
  EXPECT_TRUE(contains(message_of([&] { read_all({en, gaps}); }), "2 has an empty reference"));
}

}  // namespace
}  // namespace dsrasq::data
