"""`dsrasq sweep` from outside, with the small model of the tests. Standard library only.

    python3 tests/cli/sweep.py build/dev/bin/dsrasq [TEST...]
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

import run

MODEL = run.ROOT / "tests/golden/models/text"
TRAINING = ("--length", 64, "--long-length", 64, "--window", 16, "--sinks", 2, "--rows", 8, "--lora-rank", 1,
            "--block", 16, "--eval-stretches", 1)


class Sweep(run.CliTest):
    def setUp(self):
        super().setUp()
        self.text = self.file("waves.txt", run.TEXT)
        self.out = self.folder / "sweep"

    def words(self, *words, training=()):
        return ("sweep", "-o", self.out, "--data", self.text, "--text", self.text, "--model", MODEL, "--adapter",
                "none", "--topk", 4, "--slots", 2, "--pool", 16, "--beta", "0.9,0.99", "--steps", 1, "--length", 96,
                "--samples", 1, "--threads", 1, *words, "--", *TRAINING, *training)

    def processes(self):
        """Command lines that speak of the sweep's folder."""
        lines = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.append(path.read_bytes().decode(errors="replace"))
            except OSError:
                pass  # it has ended
        return [line for line in lines if str(self.out) in line]

    def table(self):
        return json.loads((self.out / "table.json").read_text())

    def test_two_points_become_a_table_that_a_report_draws(self):
        words = self.words("--no-keep-adapters", "--jobs", 2, "--json")
        done = run.run(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        result, table = self.json_of(done), self.table()
        self.assertEqual(result["rows"], table["rows"])
        self.assertEqual((table["points"], table["finished"], table["failed"]), (2, 2, 0))
        for row, beta in zip(table["rows"], (0.9, 0.99)):
            self.assertEqual((row["point"], row["state"]), (f"k4-r2-beta{beta}", "finished"))
            self.assertEqual((row["topk"], row["slots"], row["beta"], row["steps"]), (4, 2, beta, 1))
            self.assertGreater(row["perplexity"], 1)
            self.assertGreater(row["mean_retrieved"], 0)
            for key in ("full_perplexity", "kl", "tokens_per_s", "train_tokens_per_s", "cache_bytes"):
                self.assertGreater(row[key], 0, key)
            files = sorted(os.listdir(self.out / "points" / row["point"]))
            self.assertEqual(files, ["perplexity.json", "perplexity.log", "train.json", "train.log"])
        self.assertIn("2 of 2 points finished", done.stderr)
        plan = json.loads((self.out / "plan.json").read_text())
        self.assertEqual(plan["points"][1]["options"]["train"]["beta"], 0.99)
        self.assertEqual(plan["points"][1]["options"]["perplexity"]["window"], 16)

        again = run.run(*words)  # nothing is run again
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertNotIn("starts on", again.stderr)
        self.assertEqual(self.table()["rows"], table["rows"])
        message = self.refused(2, "invalid_argument", *words, "--seed", 3)
        self.assertIn("options, train, seed is 0 there and 3 now", message)
        page = self.folder / "sweep.html"
        drawn = self.json_of(run.run("report", self.out / "table.json", "-o", page, "--json"))
        self.assertEqual(drawn["files"][0]["holds"], "sweep")
        self.assertEqual(drawn["missing"], [])
        self.assertIn("Perplexity by k and beta", page.read_text())

    def test_points_that_fail_are_recorded_and_the_others_go_on(self):
        words = self.words("--length", 100000)  # more than the text has
        done = run.run(*words, "--no-such-option")
        self.assertEqual(done.returncode, 2, done.stderr)
        message = self.refused(7, "stopped", *words)
        self.assertIn("2 of 2 points failed, k4-r2-beta0.9 with: perplexity: ", message)
        self.assertIn("the texts hold 0 stretches of 100000 tokens", self.table()["rows"][1]["message"])
        self.assertEqual([row["state"] for row in self.table()["rows"]], ["failed", "failed"])
        self.assertTrue((self.out / "points/k4-r2-beta0.99/adapter.safetensors").exists())

    def test_ctrl_c_stops_the_trainings_and_leaves_their_checkpoints(self):
        words = self.words("--steps", 1000000, "--jobs", 2, training=("--checkpoint-every", 5))
        process = subprocess.Popen([run.program, *map(str, words)], cwd=run.ROOT, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True)
        runs = [self.out / f"points/k4-r2-beta{beta}/adapter.safetensors.run" for beta in (0.9, 0.99)]
        end = time.monotonic() + 120
        while not all(list(path.glob("checkpoint-*")) for path in runs) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, out + err)
        self.assertIn("the same command goes on from here", err)
        self.assertEqual(self.processes(), [])
        for path in runs:
            self.assertTrue(list(path.glob("checkpoint-*")))
        self.assertEqual([row["state"] for row in self.table()["rows"]], ["open", "open"])

    def test_a_sweep_that_is_killed_takes_its_trainings_along(self):
        process = subprocess.Popen([run.program, *map(str, self.words("--steps", 1000000))], cwd=run.ROOT,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = self.out / "points/k4-r2-beta0.9/train.log"
        end = time.monotonic() + 120
        while not (log.exists() and "step 10 " in log.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        process.kill()
        process.wait()
        end = time.monotonic() + 30
        while "stopped at step" not in log.read_text() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertIn("stopped at step", log.read_text())

    def test_what_cannot_be_a_sweep_is_said_before_anything_is_written(self):
        for words, status, code, message in (
                (("--beta", ""), 2, "invalid_argument", '--beta is "", want a number'),
                (("--beta", "0.9,0.9"), 2, "invalid_argument", "--beta holds 0.9 twice"),
                (("--beta", "1.5"), 2, "invalid_argument", "--beta has to be between 0 and 1"),
                (("--topk", "-1"), 2, "invalid_argument", "--topk has to be from 0 to 65536"),
                (("--slots", "5000"), 2, "invalid_argument", "--slots has to be from 0 to 4096"),
                (("--steps", "-5"), 2, "invalid_argument", "--steps has to be from 0"),
                (("--lambda-ret", "1e-4"), 2, "invalid_argument", "want -- --thresholds or -- --rl-steps"),
                (("--samples", 0), 2, "invalid_argument", "--samples is 0, want 1 to"),
                (("--retrieve", "all"), 2, "invalid_argument", "--retrieve is 'all', want auto"),
                (("--jobs", -1), 2, "invalid_argument", "--jobs is -1"),
                (("--gpus", 0), 2, "invalid_argument", "--gpus wants --device cuda"),
                (("--device", "tpu"), 2, "invalid_argument", "want cpu or cuda"),
                (("--data", "none.txt"), 3, "bad_input", "--data none.txt: no such file"),
                (("--text", "none.txt"), 3, "bad_input", "--text none.txt: no such file"),
                (("--model", "none.gguf"), 3, "bad_input", "--model none.gguf: no such file"),
                (("--adapter", "none.st"), 3, "bad_input", "--adapter none.st: no such file")):
            with self.subTest(words=words):
                self.assertIn(message, self.refused(status, code, *self.words(*words)))
        for training, message in ((("--topk", 5), "--topk is no option of single points"),
                                  (("-o", "x"), "-o is no option of single points"),
                                  (("--loran-rank", 5), "unknown option --loran-rank of train joint"),
                                  (("--rows", 0), "--rows has to be from 1"),
                                  (("stray",), 'unexpected argument "stray" of train joint')):
            with self.subTest(training=training):
                self.assertIn(message, self.refused(2, "invalid_argument", *self.words(training=training)))
        self.assertIn("want -o FOLDER", self.refused(2, "invalid_argument", "sweep"))
        self.assertEqual(os.listdir(self.folder), [self.text.name])

    def test_gpus_that_are_not_there(self):
        message = self.refused(6, "unavailable", *self.words("--device", "cuda", "--gpus", "0,99"))
        self.assertRegex(message, "no CUDA device here|--gpus names GPU 99")
        self.assertFalse(self.out.exists())

    def test_folders_that_cannot_be_written(self):
        self.out.write_text("a file")
        self.assertIn("plan.json", self.refused(5, "output", *self.words()))


if __name__ == "__main__":
    run.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
