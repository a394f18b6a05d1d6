"""`dsrasq score` from outside: its files, its refusals, its results. Standard library only.

    python3 tests/cli/score.py build/dev/bin/dsrasq [TEST...]

That the metrics themselves are right is for dsrasq/metrics/golden_test.cpp.
"""
import json
import lzma
import os
import sys
import unittest

import run


class Score(run.CliTest):
    def score(self, metric, predictions, *words):
        """The result of a run that works."""
        done = run.run("score", "--metric", metric, "--predictions", predictions, *words, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        return self.json_of(done)

    def score_refused(self, predictions, *words, metric="em", status=3, code="bad_input"):
        return self.refused(status, code, "score", "--metric", metric, "--predictions", predictions, *words)

    def records(self, name, *records):
        return self.file(name, "".join(json.dumps(record) + "\n" for record in records))

    # Results.
    def test_lines_against_lines(self):
        result = self.score("em,f1", self.file("p.txt", "The cat.\nRome\n"), "--references",
                            self.file("r.txt", "cat\nin Rome\n"))
        self.assertEqual((result["samples"], result["em"], result["em_interval"]), (2, 0.5, [0, 1]))
        self.assertAlmostEqual(result["f1"], (1 + 2 / 3) / 2)
        self.assertEqual(result["config"]["metric"], "em,f1")

    def test_windows_line_ends_byte_order_mark_and_xz_change_nothing(self):
        references = self.file("r.txt", "one\ntwo\n")
        packed = self.folder / "p.txt.xz"
        packed.write_bytes(lzma.compress(b"\xef\xbb\xbfone\r\ntwo"))
        self.assertEqual(self.score("em", packed, "--references", references)["em"], 1)

    def test_several_files_are_several_references(self):
        result = self.score("em", self.file("p.txt", "a1\nb2\n"), "--references",
                            self.file("r1.txt", "x\nb2\n"), self.file("r2.txt", "a1\n\n"))
        self.assertEqual(result["em"], 1)

    def test_records_bring_their_own_references(self):
        path = self.records("p.jsonl", {"prediction": "Rome", "references": ["Paris", "rome"], "id": {"n": [1]}},
                            {"references": ["no"], "prediction": "yes"})
        self.assertEqual(self.score("em", path)["em"], 0.5)

    def test_records_against_records_and_lines_mix(self):
        predictions = self.records("p.jsonl", {"prediction": "one"}, {"prediction": "two"})
        references = self.records("r.jsonl", {"references": ["1", "one"]}, {"references": ["2"]})
        self.assertEqual(self.score("em", predictions, "--references", references)["em"], 0.5)
        both = self.score("em", predictions, "--references", references, self.file("r.txt", "x\ntwo\n"))
        self.assertEqual(both["em"], 1)

    def test_rouge_reads_backslash_n_as_the_end_of_a_sentence(self):
        words = ("--references", self.file("r.txt", "a b\\nc d\n"))
        path = self.file("p.txt", "c d\\na b\n")
        result = self.score("rouge", path, *words)
        self.assertEqual((result["rougeL"]["fmeasure"], result["rougeLsum"]["fmeasure"]), (0.5, 1))
        self.assertEqual(set(result["rouge1"]), {"precision", "recall", "fmeasure", "fmeasure_interval"})
        self.assertEqual(self.score("em", path, "--references", self.file("e.txt", "cd nab\n"))["em"], 0)

    def test_rouge_with_stems(self):
        words = ("--references", self.file("r.txt", "runs\n"))
        path = self.file("p.txt", "running\n")
        self.assertEqual(self.score("rouge", path, *words)["rouge1"]["fmeasure"], 0)
        self.assertEqual(self.score("rouge", path, *words, "--stem")["rouge1"]["fmeasure"], 1)

    def test_bleu_sums_over_the_corpus(self):
        words = ("--references", self.file("r.txt", "a b c\nc d e f g\n"))
        result = self.score("bleu", self.file("p.txt", "a b\nc d e f g\n"), *words)
        self.assertAlmostEqual(result["bleu"], 86.6877899750182, places=9)
        self.assertEqual(result["precisions"], [100, 100, 100, 100])
        self.assertEqual((result["prediction_tokens"], result["reference_tokens"]), (7, 8))
        self.assertNotIn("bleu_interval", result)

    def test_bleu_tokenizers_differ(self):
        path = self.file("p.txt", "\u201eja\u201c \u2013 er ging fort\n")
        words = ("--references", self.file("r.txt", "\u201eja\u201c er ging fort\n"), "--bleu-tokenizer")
        self.assertEqual(self.score("bleu", path, *words, "13a")["prediction_tokens"], 5)
        self.assertEqual(self.score("bleu", path, *words, "intl")["prediction_tokens"], 7)

    def test_string_match_looks_for_every_reference(self):
        path = self.records("p.jsonl", {"prediction": "they are 12 and 34", "references": ["12", "34", "56", "78"]})
        result = self.score("string-match-all,string-match-part", path)
        self.assertEqual((result["string_match_all"], result["string_match_part"]), (0.5, 1))

    def test_multirc_takes_options_by_commas_or_as_a_list(self):
        path = self.records("p.jsonl", {"prediction": "2, 0", "references": ["0", "2"]},
                            {"prediction": "", "references": []}, {"prediction": "1", "references": ["1", "3"]})
        result = self.score("multirc", path)["multirc"]
        self.assertAlmostEqual(result["exact_match"], 2 / 3)
        self.assertAlmostEqual(result["f1a"], 2 * 0.75 / 1.75)

    def test_babi_needs_the_question_and_the_task(self):
        record = {"prediction": "The garden.", "references": ["garden"], "question": "Where?", "task": "qa1"}
        self.assertEqual(self.score("babi", self.records("p.jsonl", record))["babi"], 1)
        self.assertIn('line 1: "task" is "qa21", want qa1 to qa20',
                      self.score_refused(self.records("t.jsonl", {**record, "task": "qa21"}), metric="babi"))
        del record["question"]
        self.assertIn('line 1 has no string "question"',
                      self.score_refused(self.records("q.jsonl", record), metric="babi"))
        self.assertIn("want a .jsonl file", self.score_refused(
            self.file("p.txt", "x"), "--references", self.file("r.txt", "x"), metric="babi", status=2,
            code="invalid_argument"))

    def test_people_get_a_row_for_every_score(self):
        done = run.run("score", "--metric", "f1,rouge", "--predictions", self.file("p.txt", "one two\n"),
                       "--references", self.file("r.txt", "one\n"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("samples: 1\nscores:\n", done.stdout)
        self.assertIn("  score=f1 mean=0.666667 low=0.666667 high=0.666667\n", done.stdout)
        self.assertIn("  score=rouge1 precision=0.5 recall=1 fmeasure=0.666667 low=0.666667", done.stdout)

    # Refusals.
    def test_different_numbers_of_texts_are_both_named(self):
        message = self.score_refused(self.file("p.txt", "1\n2\n3\n"), "--references", self.file("r.txt", "1\n2\n"))
        self.assertIn("p.txt has 3 predictions, but ", message)
        self.assertIn("r.txt has references for 2", message)

    def test_a_file_without_texts_is_named(self):
        full, empty = self.file("f.txt", "x\n"), self.file("empty.txt", "")
        self.assertIn("empty.txt is empty", self.score_refused(empty, "--references", full))
        self.assertIn("empty.txt is empty", self.score_refused(full, "--references", empty))
        self.assertIn("blank.jsonl holds no record", self.score_refused(self.file("blank.jsonl", "\n \n")))
        self.assertIn("No such file", self.score_refused(self.folder / "none.txt", "--references", full))

    def test_a_sample_without_a_reference_is_named(self):
        self.assertIn("r.txt: text 2 has no reference",
                      self.score_refused(self.file("p.txt", "1\n2\n"), "--references", self.file("r.txt", "1\n \n")))
        self.assertIn("p.jsonl: text 1 has no reference",
                      self.score_refused(self.records("p.jsonl", {"prediction": "x", "references": []})))

    def test_a_record_that_is_wrong_is_named_with_its_line_and_field(self):
        good = '{"prediction": "x", "references": ["y"]}\n\n'
        for line, message in {
                '{"references": ["y"]}': 'line 3 has no string "prediction"',
                '{"prediction": 7, "references": ["y"]}': 'line 3 has no string "prediction"',
                '{"prediction": "x"}': 'line 3 has no list of strings "references"',
                '{"prediction": "x", "references": "y"}': 'line 3 has no list of strings "references"',
                '{"prediction": "x", "references": ["y", null]}': 'line 3 has no list of strings "references"',
                '["x"]': "line 3 is not a JSON object",
                '{"prediction": ': "line 3 is not JSON (at byte ",
                '{"prediction": "x", "n": 1e999, "references": ["y"]}': "line 3 is not JSON: a number is too large",
                '{"a":' * 5000: "line 3 is not JSON (at byte "}.items():
            self.assertIn(message, self.score_refused(self.file("p.jsonl", good + line)), line[:60])

    def test_options_that_are_missing_or_unknown(self):
        path = self.file("p.txt", "x\n")
        wrong = {"status": 2, "code": "invalid_argument"}
        self.assertIn("want --references FILE", self.score_refused(path, **wrong))
        self.assertIn('unknown metric "rogue"; did you mean rouge?',
                      self.score_refused(path, "--references", path, metric="rogue", **wrong))
        self.assertIn("unknown metric", self.score_refused(path, "--references", path, metric="em,,f1", **wrong))
        self.assertIn('--bleu-tokenizer is "zh", want 13a or intl',
                      self.score_refused(path, "--references", path, "--bleu-tokenizer", "zh", metric="bleu", **wrong))
        self.assertIn("want --metric", self.refused(2, "invalid_argument", "score", "--predictions", path))
        self.assertIn("want --predictions FILE", self.refused(2, "invalid_argument", "score", "--metric", "em"))

    def test_bytes_that_are_no_text_are_scored_as_replacement_characters(self):
        path = self.folder / "p.txt"
        path.write_bytes(b"good text before and after \xff here\n")
        references = self.file("r.txt", "good text before and after \ufffd here\n")
        self.assertEqual(self.score("em", path, "--references", references)["em"], 1)


if __name__ == "__main__":
    run.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
