"""Trainings by several processes, with a tiny model of the golden files. Standard library only.

    python3 tests/cli/parallel.py build/dev/bin/dsrasq [TEST...]
"""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

import run
from run import ROOT


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Parallel(run.CliTest):
    def setUp(self):
        super().setUp()
        self.model = self.tiny_model()
        self.text = self.file("ab.txt", run.AB)

    def options(self, kind, output, *words):
        return ["train", kind, "--model", self.model, "--data", self.text, "--length", 64, "--long-length", 64,
                "--window", 16, "--sinks", 2, "--rows", 8, "--steps", 2, "--batch", 2, "--eval-stretches", 2,
                "--threads", 1, "-o", output, "--json", *words]

    def start(self, n, *words):
        """scripts/train_parallel in a process group of its own, as a terminal gives it."""
        return subprocess.Popen([ROOT / "scripts/train_parallel", str(n), *map(str, words)], cwd=ROOT, text=True,
                                env={**os.environ, "DSRASQ": str(run.program), "MASTER_PORT": str(free_port())},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def parallel(self, n, *words):
        process = self.start(n, *words)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def wait_for_line(self, stream, pattern):
        for line in stream:
            if re.search(pattern, line):
                return
        self.fail(f"no line with {pattern}")

    def test_two_processes_train_what_one_trains(self):
        for kind, more in (("retriever", []), ("joint", ["--adapter", "none", "--lora-rank", 2])):
            one = self.json_of(run.run(*self.options(kind, self.folder / f"{kind}1.safetensors", *more)))
            done = self.parallel(2, *self.options(kind, self.folder / f"{kind}2.safetensors", *more))
            self.assertEqual(done.returncode, 0, done.stderr)
            two = self.json_of(done)
            self.assertAlmostEqual(one["loss"], two["loss"], 5)
            self.assertEqual(two["steps"], 2)
            self.assertEqual(len(list((self.folder / f"{kind}2.safetensors.run").glob("events.*"))), 1)
            self.assertEqual(done.stderr.count("step 2 of 2"), 2, done.stderr)  # by one process: at the end, and held out

    def test_two_processes_train_a_model_from_nothing_as_one_does(self):
        def words(name):
            return ["train", "lm", "--data", self.text, "--length", 64, "--window", 16, "--sinks", 2, "--rows", 8,
                    "--layers", 2, "--hidden", 32, "--heads", 2, "--kv-heads", 1, "--ffn", 48, "--vocab", 258,
                    "--steps", 3, "--batch", 4, "--index-stretches", 3, "--topk", 4, "--eval-stretches", 3,
                    "--threads", 1, "-o", self.folder / name, "--json"]
        one, done = self.json_of(run.run(*words("one"))), self.parallel(2, *words("two"))
        self.assertEqual(done.returncode, 0, done.stderr)
        two = self.json_of(done)
        for key in ("loss", "retriever_kl", "perplexity"):
            self.assertAlmostEqual(two[key] / one[key], 1, 4)
        self.assertTrue((self.folder / "two/adapter.safetensors").exists())

    def test_what_all_refuse_has_one_exit_status(self):
        done = self.parallel(2, *self.options("retriever", self.folder / "a.safetensors", "--batch", 3))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--batch is 3 stretches, which 2 processes cannot share", self.json_of(done)["message"])
        done = self.parallel(2, *self.options("retriever", self.folder / "a.safetensors", "--dry-run"))
        self.assertIn("are for one process", self.json_of(done)["message"])
        self.assertEqual(self.parallel("two", "train").returncode, 2)

    def test_ctrl_c_leaves_a_checkpoint(self):
        words = self.options("retriever", self.folder / "a.safetensors", "--steps", 1000000)
        process = self.start(2, *words)
        self.wait_for_line(process.stderr, "^step 20 ")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(err.count("the same command goes on from there"), 1, err)
        self.assertEqual(json.loads(out)["code"], "interrupted")
        self.assertEqual(len(list(self.folder.glob("a.safetensors.run/checkpoint-*"))), 1)

    def test_a_process_that_dies_stops_the_others(self):
        words = self.options("retriever", self.folder / "a.safetensors", "--steps", 1000000)
        port = free_port()
        first, second = (
            subprocess.Popen([run.program, *map(str, words)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE,
                             env={**os.environ, "WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank),
                                  "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
            for rank in range(2))
        self.wait_for_line(first.stderr, "^step 20 ")
        second.kill()
        second.communicate()
        start = time.monotonic()
        out, err = first.communicate(timeout=60)
        self.assertLess(time.monotonic() - start, 15)
        self.assertEqual(first.returncode, 7, err)
        self.assertIn("process 1 has ended without a word", json.loads(out)["message"])


if __name__ == "__main__":
    run.program = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
