"""`dsrasq data prepare` from outside: folders that training reads, what is refused, and how a stopped run goes on.
Standard library only.

    python3 tests/cli/data_prepare.py build/dev/bin/dsrasq [TEST...]
"""
import json
import lzma
import os
import signal
import subprocess
import sys
import time
import unittest

import run

MODEL = ["--model", run.ROOT / "tests/golden/models/text"]
STORY = '<REUTERS NEWID="{0}">\n<DATE>1-MAR-1987 10:00:{0:02}.50</DATE>\n<TEXT>Story {0}: it rained.</TEXT>\n</REUTERS>\n'


def question(number, **changes):
    record = {"_id": f"q{number}", "question": "Which word?", "answer": "word",
              "supporting_facts": [[f"Gold {number}", 0]],
              "context": [[f"Gold {number}", [f"The word is number {number}. "]],
                          [f"Other {number}", [f"There is nothing here, {number} times."]]]}
    return {**record, **changes}


class DataPrepare(run.CliTest):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"

    def words(self, *inputs):
        return ("data", "prepare", *inputs, "-o", self.out, *MODEL)

    def prepare(self, *inputs):
        """The result of a run that works."""
        done = run.run(*self.words(*inputs), "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return self.json_of(done)

    def data_refused(self, *inputs, status=3, code="bad_input"):
        message = self.refused(status, code, *self.words(*inputs))
        self.assertFalse((self.out / "manifest.json").exists())
        return message

    def nothing_is_left(self, *inputs, **options):
        """The message of a refusal that makes no folder."""
        message = self.data_refused(*inputs, **options)
        self.assertFalse(self.out.exists())
        return message

    def rows(self, name="records.jsonl"):
        return [json.loads(line) for line in (self.out / name).read_text().splitlines()]

    def questions(self, *records):
        return self.file("hotpot.json", json.dumps(records))

    def bytes(self):
        return {path.name: path.read_bytes() for path in self.out.iterdir() if "config" not in path.name}

    # Results.
    def test_news_are_a_stream_that_says_what_it_is(self):
        news = self.folder / "news.sgm.xz"
        news.write_bytes(lzma.compress("".join(STORY.format(n) for n in (3, 1, 2)).encode()))
        result = self.prepare(news, "--licence", "research use", "--source", "D. Lewis")
        self.assertEqual((result["kind"], result["format"], result["records"], result["documents"]),
                         ("stream", "reuters", 3, 1))
        self.assertEqual([row["id"] for row in self.rows()], ["1", "2", "3"])
        manifest = json.loads((self.out / "manifest.json").read_text())
        self.assertEqual(manifest["settings"]["licence"], "research use")
        self.assertEqual(manifest["settings"]["inputs"][0]["file"], "news.sgm.xz")
        self.assertEqual([file["file"] for file in manifest["files"]], ["data.tokens", "records.jsonl"])
        self.assertEqual(sorted(path.name for path in self.out.iterdir()),
                         ["data.tokens", "data.tokens.config.json", "manifest.json", "records.jsonl"])

    def test_contexts_grow_with_the_passages_of_other_questions(self):
        result = self.prepare(self.questions(*[question(n) for n in range(80)]), "--length", 512, "--block", 64)
        self.assertEqual((result["kind"], result["documents"], result["only_evaluates"]), ("qa", 80, False))
        for row in self.rows("questions.jsonl"):
            self.assertLessEqual(row["end"] - row["begin"], 512)
            self.assertGreater(row["passages"], 5)
            self.assertEqual(len(row["gold_tokens"]), 1)
            self.assertLess(row["gold_tokens"][0][1], row["question_tokens"][0] + 1)
            self.assertEqual(row["question_tokens"][1], row["answer_tokens"][0])

    def test_any_number_of_jobs_makes_the_same_bytes(self):
        data = self.questions(*[question(n) for n in range(80)])
        self.prepare(data, "--length", 512, "--jobs", 1)
        first, self.out = self.bytes(), self.folder / "other"
        self.prepare(data, "--length", 512, "--jobs", 3)
        self.assertEqual(first, self.bytes())

    def test_a_folder_of_texts_is_read_as_documents(self):
        folder = self.folder / "texts"
        (folder / "more").mkdir(parents=True)
        (folder / "b.md").write_text("# B\n")
        (folder / "more" / "a.txt").write_text("A text.\n")
        result = self.prepare(folder)
        self.assertEqual((result["format"], result["documents"]), ("text", 2))

    def test_training_reads_the_tokens(self):
        result = self.prepare(self.file("waves.txt", run.TEXT), "--block", 16)
        done = run.run("train", "retriever", *MODEL, "--data", result["data"], "-o", self.folder / "a.safetensors",
                       "--length", 64, "--long-length", 64, "--window", 16, "--sinks", 2, "--rows", 8,
                       "--eval-stretches", 1, "--steps", 1, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    # Runs that stop, and folders that are there.
    def test_a_stopped_run_goes_on(self):
        line = json.dumps({"text": run.TEXT * 20}) + "\n"
        data = self.file("many.jsonl", line * 400)
        first = self.out / "parts" / "0.tokens"
        process = subprocess.Popen([run.program, *map(str, self.words(data, "--jobs", 1))], stderr=subprocess.PIPE)
        while not first.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertFalse((self.out / "manifest.json").exists())
        made = first.stat().st_mtime_ns
        self.assertIn("length was 0, not 512",
                      self.data_refused(data, "--length", 512, status=2, code="invalid_argument"))
        self.assertEqual(first.stat().st_mtime_ns, made)
        self.assertEqual(self.prepare(data)["documents"], 400)
        self.assertFalse(first.exists())

    def test_a_finished_folder_is_left_alone_and_not_mixed_with_others(self):
        data = self.file("a.txt", "Call me Ishmael.")
        first = self.prepare(data)
        made = (self.out / "data.tokens").stat().st_mtime_ns
        self.assertEqual(self.prepare(data), first)
        self.assertEqual((self.out / "data.tokens").stat().st_mtime_ns, made)
        wrong = ("data", "prepare", "-o", self.out, *MODEL)
        self.assertIn("made from other options: seed was 0, not 1",
                      self.refused(2, "invalid_argument", *wrong, data, "--seed", 1))
        data.write_text("Call me Jonah.")
        self.assertIn("made from other inputs", self.refused(2, "invalid_argument", *wrong, data))
        self.out = self.folder
        self.assertIn("is no data set of this program",
                      self.data_refused(data, status=2, code="invalid_argument"))

    # Refusals.
    def test_wrong_use_is_said_before_a_model_is_loaded(self):
        data = self.file("a.txt", "Call me Ishmael.")
        for words, message in (
                (("-o", self.out), "want dsrasq data prepare INPUT..."),
                ((data,), "want -o FOLDER"),
                ((data, "-o", self.out, "--format", "txt"), "--format is \"txt\", want auto, text, reuters"),
                ((data, "-o", self.out, "--kind", "qa"), "--kind qa wants questions"),
                ((data, "-o", self.out, "--length", 100), "--length is 100, want 0 or a multiple of --block (512)"),
                ((data, "-o", self.out, "--jobs", -1), "--jobs is -1")):
            with self.subTest(words=words):
                self.assertIn(message, self.refused(2, "invalid_argument", "data", "prepare", *words,
                                                    "--model", "none"))
        self.assertFalse(self.out.exists())

    def test_wrong_data_names_file_place_and_field(self):
        rows = "1" + "\t" * 26 + "\n"
        for name, text, part in (
                ("a.sgm", STORY.format(1) + STORY.format(1), "a.sgm: record 1 is there twice"),
                ("b.sgm", STORY.format(1).replace("MAR", "MER"), "line 1: the DATE of story 1 is \"1-MER-1987"),
                ("c.csv", rows, "c.csv line 1 column 2, V2.1DATE, is \"\""),
                ("d.csv", "a" + "\t" * 57, "its first line has 58 tab separated columns"),
                ("e.txt", "Hi __eou__\nHi\n", "e.txt line 2: turn 1 has no __eou__ behind it"),
                ("f.json", "[{\"question\": \"a\", \"context\": []}]", "f.json record 1 (line 1) lacks \"_id\""),
                ("g.json", "{\"a\": 1}", "g.json is in no known format: its first record has a"),
                ("h.txt", "", "h.txt is empty")):
            with self.subTest(name=name):
                self.out = self.folder / (name + ".out")
                message = self.nothing_is_left(self.file(name, text))
                self.assertIn(name, message)
                self.assertIn(part, message)
        self.assertIn("No such file", self.data_refused(self.folder / "none.txt"))

    def test_questions_that_cannot_be_prepared(self):
        good = [question(n) for n in range(20)]
        for name, records, length, part in (
                ("gold", [question(99, supporting_facts=[["Nowhere", 0]]), *good], 0, "hotpot/q99 has no gold passage"),
                ("empty", [question(99, answer=""), *good], 0, "record 1 (line 1): answer is empty"),
                ("few", good, 8192, "the data's 40 different passages have about"),
                ("short", good, 8, "its gold passages, question and answer have")):
            with self.subTest(name=name):
                self.out = self.folder / name
                self.assertIn(part, self.nothing_is_left(self.questions(*records), "--length", length,
                                                         "--block", 8))

    def test_a_folder_that_cannot_be_made(self):
        self.out = self.file("a.txt", "Call me Ishmael.") / "out"
        self.assertIn("the folder cannot be made", self.data_refused(self.folder / "a.txt", status=5, code="output"))


if __name__ == "__main__":
    run.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
