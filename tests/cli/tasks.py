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

    def test_people_see_rows(self):
        data = self.jsonl("a.jsonl", RULER)
        done = run.run("eval", "ruler", *MODEL, "--max-tokens", "2", "--data", data)
        self.assertIn("task=a policy=full samples=1 string_match=", done.stdout)
        self.assertNotIn("prediction", done.stdout)


if __name__ == "__main__":
    run.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
