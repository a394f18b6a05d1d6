"""`dsrasq data index` and `--negatives` from outside. Standard library only.

    python3 tests/cli/data_index.py build/dev/bin/dsrasq [TEST...]

Without FAISS the program says so; then that is all that is tested.
"""
import json
import os
import sys
import unittest

import run

MODEL = ["--model", run.ROOT / "tests/golden/models/text"]
PLACES = ("harbour", "mountain", "orchard", "market", "library", "desert")


def texts(n_sentences):
    """Each about a place of its own, all in the same words."""
    for place in PLACES:
        words = "".join(f"At the {place} number {i} stood, and the {PLACES[i % len(PLACES)]} was far. "
                        for i in range(n_sentences))
        yield json.dumps({"text": words}) + "\n"


class DataIndex(run.CliTest):
    def setUp(self):
        super().setUp()
        if "built without FAISS" in run.run("data", "index", "none", "-o", "none").stderr:
            self.assertIn("built without FAISS", self.refused(6, "unavailable", "data", "index", "none", "-o", "none"))
            self.skipTest("built without FAISS")
        self.data = self.folder / "data"
        self.prepare(self.data, 120)
        self.index = self.folder / "x.index"

    def prepare(self, folder, n_sentences):
        text = self.file(f"{folder.name}.jsonl", "".join(texts(n_sentences)))
        self.done("data", "prepare", text, "-o", folder, *MODEL)

    def done(self, *words):
        done = run.run(*words, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return self.json_of(done)

    def words(self, *words):
        return ("data", "index", self.data, "-o", self.index, "--block", 16, "--max-similarity", 1, *MODEL, *words)

    def train(self, command, *words):
        return ("train", command, *MODEL, "--data", self.data / "data.tokens", "--negatives", self.index,
                "-o", self.folder / "a.safetensors", "--length", 1500, "--long-share", 0, "--window", 16, "--sinks", 2,
                "--rows", 8, "--steps", 1, "--eval-stretches", 1, "--negatives-share", 1, *words)

    def test_every_kind_finds_blocks_of_other_documents(self):
        for kind in ("flat", "ivf", "hnsw"):
            with self.subTest(kind=kind):
                labels = self.folder / "near.jsonl"
                self.index = self.folder / kind
                result = self.done(*self.words("--kind", kind, "--labels", labels))
                self.assertEqual((result["kind"], result["documents"]), (kind, len(PLACES)))
                self.assertGreater(result["similarity"]["nearest"], result["similarity"]["random"])
                self.assertGreater(result["recall_at_10"], 0.9 if kind == "flat" else 0.5)
                rows = [json.loads(line) for line in labels.read_text().splitlines()]
                self.assertEqual(len(rows), result["blocks"])
                for row in rows:
                    self.assertGreater(len(row["neighbours"]), 0)
                    for neighbour in row["neighbours"]:
                        self.assertNotEqual(neighbour["document"], row["document"])
                        there = rows[neighbour["block"]]
                        self.assertEqual({**neighbour, "similarity": 0, "neighbours": there["neighbours"]},
                                         {**there, "similarity": 0})

    def test_trainings_read_it_without_its_library(self):
        self.done(*self.words())
        first, again = (self.done(*self.train("retriever", "--run-dir", self.folder / name)) for name in ("a", "b"))
        self.assertEqual((first["steps"], first["loss"]), (1, again["loss"]))
        self.assertEqual(self.done(*self.train("joint", "--run-dir", self.folder / "c"))["steps"], 1)

    def test_what_is_wrong_is_said_in_a_sentence(self):
        self.done(*self.words())
        other = self.folder / "other"
        self.prepare(other, 110)
        message = self.refused(3, "bad_input", *self.train("joint", "--data", other / "data.tokens"))
        self.assertIn("x.index: an index of other data (", message)
        self.assertIn("other/data.tokens (", message)
        self.assertIn("no room for 2 blocks of --negatives",
                      self.refused(2, "invalid_argument", *self.train("joint", "--length", 1390)))
        self.assertIn("--negatives-share has to be from 0 to 1",
                      self.refused(2, "invalid_argument", *self.train("joint", "--negatives-share", 2)))
        self.assertIn("with --kind flat and not hnsw",
                      self.refused(2, "invalid_argument", *self.words("--kind", "hnsw")))
        self.assertIn("want flat, ivf or hnsw", self.refused(2, "invalid_argument", *self.words("--kind", "pq")))
        self.assertIn("none: there is no such file", self.refused(3, "bad_input", "data", "index", self.folder / "none",
                                                                  "-o", self.folder / "y", *MODEL))
        good = self.index.read_bytes()
        for bad in (b"", good[:100], good[:len(good) // 2], good[:-1], good[:-99] + b"x" + good[-98:]):
            self.index.write_bytes(bad)
            self.assertIn("x.index", self.refused(3, "bad_input", *self.train("joint")))
            self.assertIn("x.index", self.refused(3, "bad_input", *self.words()))
            self.assertEqual(self.index.read_bytes(), bad)
        self.assertFalse((self.folder / "a.safetensors").exists())


if __name__ == "__main__":
    run.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
