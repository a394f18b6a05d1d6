"""`dsrasq eval qa` and its like from outside: what they refuse, and how they go on. Standard library only.

    python3 tests/cli/tasks.py build/dev/bin/dsrasq [TEST...]

The model is the small one of the tests: its answers are nonsense, its files are not.
"""
import json
import os
import sys
import unittest

import run

MODEL = ["--model", run.ROOT / "tests/golden/models/text", "--adapter", "none", "--policy", "full,window:window=32"]
RULER = {"index": 0, "input": "The number is 12. What is the number? It is", "outputs": ["12"]}
KINDS = ("qa", "summarization", "translation", "ruler", "babi", "longbench")


class Tasks(run.CliTest):
    def jsonl(self, name, *records):
        return self.file(name, "".join(json.dumps(record) + "\n" for record in records))

    def eval(self, kind, *words):
        done = run.run("eval", kind, *MODEL, "--max-tokens", "3", *words, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return self.json_of(done)

    def test_help_teaches(self):
        for kind in KINDS:
            page = run.run("eval", kind, "--help").stdout
            self.assertIn(f"  dsrasq eval {kind} --data", page)
            self.assertIn("--predictions", page)

    def test_wrong_use_is_said_before_a_model_is_loaded(self):
        data = self.jsonl("a.jsonl", RULER)
        none = ["--model", "none.gguf"]
        self.assertIn("want --data FILE", self.refused(2, "invalid_argument", "eval", "qa", *none))
        self.assertIn("eval qa does not do ruler data",
                      self.refused(2, "invalid_argument", "eval", "qa", "--data", data, *none))
        self.assertIn("alone is no translation",
                      self.refused(2, "invalid_argument", "eval", "translation", "--data", data, *none))

    def test_wrong_files_name_record_and_field(self):
        for text, part in [('{"input": "a", "outputs": []}', "record 1 (line 1): outputs is empty"),
                           ('{"input": "a", "outputs": ["b"]}\n{"input": "a"}', "record 2 (line 2) lacks \"outputs\""),
                           ("Call me Ishmael.", "neither JSON nor bAbI"),
                           ('{"a": 1}', "its first record has a"),
                           ('{"input": ', "is cut off")]:
            message = self.refused(3, "bad_input", "eval", "ruler", "--data", self.file("a.jsonl", text))
            self.assertIn("a.jsonl", message)
            self.assertIn(part, message)
        self.assertIn("want files", self.refused(2, "invalid_argument", "eval", "ruler", "--data", "-"))
        self.assertIn("cannot be read", self.refused(3, "bad_input", "eval", "ruler", "--data", "none.jsonl"))

    def test_a_run_goes_on_from_its_predictions(self):
        data = self.jsonl("a.jsonl", RULER, dict(RULER, index=1))
        answers = self.folder / "answers.jsonl"
        first = self.eval("ruler", "--data", data, "--predictions", answers)
        self.assertEqual([(row["policy"], row["samples"]) for row in first["rows"]],
                         [("full", 2), ("window:window=32", 2)])
        self.assertIn("string_match_interval", first["rows"][0])
        self.assertEqual(len(answers.read_text().splitlines()), 4)
        again = self.eval("ruler", "--data", data, "--predictions", answers)
        self.assertEqual(again["samples"], first["samples"])
        self.assertIn("was made with another model, other options or other data",
                      self.refused(3, "bad_input", "eval", "ruler", *MODEL, "--max-tokens", "2", "--data", data,
                                   "--predictions", answers))

    def test_predictions_can_be_scored_by_themselves(self):
        data = self.jsonl("a.jsonl", RULER)
        answers = self.folder / "answers.jsonl"
        result = self.eval("ruler", "--data", data, "--predictions", answers)
        done = run.run("score", "--metric", "string-match-all", "--predictions", answers, "--json")
        mean = sum(row["string_match"] for row in result["rows"]) / 2
        self.assertAlmostEqual(self.json_of(done)["string_match_all"], mean)

    def test_methods_that_prune_prompts_are_for_tasks(self):
        data = self.jsonl("a.jsonl", RULER)
        self.assertIn("1 of 1 samples have none",
                      self.refused(2, "invalid_argument", "eval", "ruler", *MODEL[:4], "--policy", "attentionrag",
                                   "--data", data))
        self.assertIn("this command does not",
                      self.refused(2, "invalid_argument", "eval", "news", "--policy", "full,attentionrag",
                                   "--data", data, "--model", "none.gguf"))

    def test_people_see_rows(self):
        data = self.jsonl("a.jsonl", RULER)
        done = run.run("eval", "ruler", *MODEL, "--max-tokens", "2", "--data", data)
        self.assertIn("task=a policy=full samples=1 string_match=", done.stdout)
        self.assertNotIn("prediction", done.stdout)


class Streams(run.CliTest):
    def eval(self, kind, *words):
        done = run.run("eval", kind, *MODEL, "--max-tokens", "3", *words, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return self.json_of(done)

    def test_news_by_age(self):
        stories = [{"time": f"1987-06-0{day}T10:00", "title": f"Title {day}", "text": f"On day {day} it rained a lot."}
                   for day in (1, 2, 3)]
        data = self.file("n.jsonl", "".join(json.dumps(story) + "\n" for story in stories))
        answers = self.folder / "answers.jsonl"
        words = ["--data", data, "--from", "1987-06-02", "--ages", "0,1", "--opening", 3, "--predictions", answers]
        result = self.eval("news", *words)
        self.assertEqual([(row["task"], row["policy"], row["samples"]) for row in result["rows"][3:]],
                         [("age 0", "full", 2), ("age 0", "window:window=32", 2), ("age 0", "alone", 2),
                          ("age 1", "full", 1), ("age 1", "window:window=32", 1), ("age 1", "alone", 1)])
        self.assertEqual(result["samples"][0]["references"], ["Title 2"])
        self.assertEqual(len(answers.read_text().splitlines()), 9)
        self.assertEqual(self.eval("news", *words)["samples"], result["samples"])
        none = ["--model", "none.gguf"]
        self.assertIn("want --data FILE", self.refused(2, "invalid_argument", "eval", "news", *none))
        self.assertIn("no story is from 1999-01-01",
                      self.refused(2, "invalid_argument", "eval", "news", "--data", data, "--from", "1999-01-01", *none))
        self.assertIn("n.jsonl:1", self.refused(3, "bad_input", "eval", "news", *none, "--data",
                                                self.file("n.jsonl", '{"time": "June", "title": "a", "text": "b"}')))

    def test_dialogue(self):
        data = self.file("d.txt", "How are you ? __eou__ Well . And you ? __eou__\n" * 20)
        result = self.eval("dialogue", "--data", data, "--length", 60, "--samples", 1, "--replies", 2)
        self.assertEqual([(row["task"], row["policy"], row["samples"]) for row in result["rows"]],
                         [("d", "full", 2), ("d", "window:window=32", 2), ("d", "alone", 2)])
        self.assertGreater(result["perplexity"], 1)
        self.assertEqual(result["samples"][0]["references"], ["Well . And you ?"])
        none = ["--model", "none.gguf"]
        self.assertIn("has no __eou__", self.refused(3, "bad_input", "eval", "dialogue", *none, "--data",
                                                     self.file("d.txt", "How are you?")))


if __name__ == "__main__":
    run.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
