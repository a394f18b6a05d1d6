"""`dsrasq convert` and the stages of `dsrasq train joint` from outside. Standard library only.

    python3 tests/cli/training.py build/dev/bin/dsrasq [TEST...]

The model is the small one of the tests: its training is short, its files are not.
"""
import json
import os
import shutil
import sys
import unittest

import run

MODEL = run.ROOT / "tests/golden/models/text"
SHORT = ("--length", 64, "--window", 16, "--sinks", 2, "--eval-stretches", 1, "--steps", 1, "--warmup-stage-steps", 2)


class Training(run.CliTest):
    def setUp(self):
        super().setUp()
        self.text = self.file("waves.txt", run.TEXT)
        self.adapter = self.folder / "a.safetensors"

    def joint(self, *words):
        return ("train", "joint", "--model", MODEL, "--data", self.text, "-o", self.adapter, "--long-length", 64,
                "--rows", 8, "--lora-rank", 1, *SHORT, *words)

    def convert(self, *words):
        return ("convert", MODEL, "--data", self.text, "--lora-rank", 1, *SHORT, *words)

    def done(self, *words, **options):
        done = run.run(*words, "--json", **options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return self.json_of(done), done.stderr

    def test_stages_run_one_after_another_in_one_run(self):
        words = self.joint("--stages", "warmup,joint,rl", "--rl-steps", 1, "--rl-samples", 2)
        result, notes = self.done(*words)
        self.assertEqual((result["warmup"]["steps"], result["steps"]), (2, 2))
        for stage in ("warmup: step 2 of 2", "joint: step 1 of 2", "rl: step 2 of 2"):
            self.assertIn(stage, notes)
        self.assertIn("starts from scratch", notes)
        again, notes = self.done(*words)
        self.assertNotIn("warmup: ", notes)
        self.assertEqual(again["after"], result["after"])
        self.done("generate", "--model", MODEL, "--adapter", self.adapter, "--max-tokens", 1, "The")

    def test_what_cannot_be_a_run_is_said_before_a_model_is_loaded(self):
        for words, message in (
                (("--stages", "joint,warmup"), "want a list of warmup, joint and rl in this order"),
                (("--stages", "warmup", "--rl-steps", 3), "--rl-steps is 3, but --stages leaves out rl"),
                (("--stages", "joint", "--steps", 0), "--stages names joint, but --steps is 0"),
                (("--stages", "warmup", "--warmup-stage-steps", 0), "--warmup-stage-steps is 0"),
                (("--stages", "warmup,joint", "--warmup-stage-share", 1), "has to be between 0 and 1")):
            with self.subTest(words=words):
                self.assertIn(message, self.refused(2, "invalid_argument", *self.joint(*words), "--model", "none"))
        self.assertFalse(self.adapter.exists())

    def test_an_adapter_keeps_the_mode_of_its_slots(self):
        self.done(*self.joint("--adapter", "none", "--slots", 2, "--pool", 16, "--block", 16,
                              "--slot-mode", "rotate"))
        shown, _ = self.done("inspect", self.adapter)
        self.assertEqual((shown["slots"], shown["slot_mode"]), (2, "rotate"))
        first, self.adapter = self.adapter, self.folder / "b.safetensors"
        again = self.joint("--adapter", first, "--block", 16)
        self.assertIn("of the mode rotate, --slot-mode is content",
                      self.refused(2, "invalid_argument", *again, "--slot-mode", "content"))
        self.done(*again)

    def test_tasks(self):
        tasks = self.file("tasks.jsonl", "".join(json.dumps({"inputs": f"Say {i}.", "targets": "yes"}) + "\n"
                                                 for i in range(4)))
        result, notes = self.done(*self.joint("--stages", "warmup,joint", "--tasks", tasks, "--task-share", 1))
        self.assertGreater(result["after"]["answer_nll"], 0)
        self.assertIn(", answers ", notes)
        self.assertIn("never files that a model is to be evaluated on",
                      " ".join(run.run("train", "joint", "--help").stdout.split()))

    def test_wrong_tasks_leave_nothing(self):
        record = {"inputs": "Say yes.", "targets": "yes " * 80}
        long = self.file("long.jsonl", json.dumps(record))
        broad = self.file("broad.jsonl", json.dumps({"inputs": "Say yes. " * 80, "targets": "yes"}))
        ruler = self.file("ruler.jsonl", json.dumps({"index": 0, "input": "a", "outputs": ["b"]}))
        before = sorted(os.listdir(self.folder))
        for path, message in ((long, "the answer of sample 1 has"), (broad, "none of its 1 samples fits into"),
                              (ruler, "ruler data is there to evaluate with"), (self.text, "in no known format"),
                              (self.folder / "none", "none")):
            for words in (self.joint("--stages", "warmup,joint"), self.joint(), self.convert("-o", self.adapter)):
                with self.subTest(path=path, command=words[0]):
                    refused = self.refused(3, "bad_input", *words, "--tasks", path)
                    self.assertIn(message, refused)
                    self.assertIn(str(path), refused)
        self.assertIn("--task-share has to be from 0 to 1",
                      self.refused(2, "invalid_argument", *self.joint("--task-share", 2)))
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_plans_of_several_stages(self):
        result, _ = self.done(*self.joint("--stages", "warmup,joint", "--dry-run"))
        self.assertGreater(result["total_seconds"], result["joint"]["total_seconds"])
        self.assertEqual(os.listdir(self.folder), [self.text.name])

    def test_convert_makes_an_adapter_named_like_the_model(self):
        model = self.folder / "tiny-1.5"
        shutil.copytree(MODEL, model)
        words = ("convert", f"{model}/", *self.convert()[2:])
        result, notes = self.done(*words, cwd=self.folder)
        self.assertEqual(result["adapter"], "adapters/tiny-1.5.safetensors")
        self.assertEqual(result["config"]["output"], result["adapter"])
        self.assertIn("try it: dsrasq ask", notes)
        self.assertEqual(self.done(*words, cwd=self.folder)[0]["after"], result["after"])
        found, _ = self.done("generate", "--model", model, "--max-tokens", 1, "The", cwd=self.folder)
        self.assertEqual(found["status"], "ok")
        shutil.rmtree(self.folder / "adapters/tiny-1.5.safetensors.run")
        self.assertIn("adapters/tiny-1.5.safetensors is there already; name an adapter to write with --output",
                      self.refused(2, "invalid_argument", *words, cwd=self.folder))

    def test_convert_chooses_the_length_by_the_model(self):
        config, _ = self.done("convert", MODEL, "--data", self.text, "--dry-run", "-o", self.adapter)
        context = json.loads((MODEL / "config.json").read_text())["max_position_embeddings"]
        self.assertEqual(config["config"]["length"], max(min(context, 4096), 2 * 516))

    def test_convert_refuses(self):
        self.assertIn("MODEL is missing", self.refused(2, "invalid_argument", "convert", "--data", self.text))
        self.assertIn("none.gguf", self.refused(3, "bad_input", "convert", "none.gguf", "--data", self.text))
        self.assertIn("--data has to name", self.refused(2, "invalid_argument", "convert", MODEL, "-o", self.adapter))
        self.assertIn("none.txt", self.refused(3, "bad_input", *self.convert("-o", self.adapter, "--data", "none.txt")))
        self.assertIn("the longest of the 1 texts to train on has",
                      self.refused(3, "bad_input", *self.convert("-o", self.adapter, "--length", 8192)))


class TrainLm(run.CliTest):
    def setUp(self):
        super().setUp()
        self.text = self.file("waves.txt", run.TEXT * 2)
        self.model = self.folder / "small"

    def words(self, *words):
        return ("train", "lm", "--data", self.text, "-o", self.model, "--layers", 2, "--hidden", 32, "--heads", 2,
                "--kv-heads", 1, "--ffn", 48, "--length", 64, "--batch", 4, "--window", 16, "--sinks", 2, "--topk", 8,
                "--rows", 8, "--index-stretches", 2, "--warmup", 5, "--eval-stretches", 1, "--steps", 30, *words)

    def done(self, *words):
        done = run.run(*words, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return self.json_of(done)

    def test_the_model_and_its_own_tokenizer_are_taken_by_the_other_commands(self):
        result = self.done(*self.words("--vocab", 300))
        self.assertEqual((result["steps"], result["model"]), (30, str(self.model)))
        self.assertLess(result["perplexity"], 150)
        scored = self.done("eval", "perplexity", "--model", self.model, "--text", self.text, "--length", 64,
                           "--samples", 2, "--policy", "dsrasq,full", "--window", 16, "--sinks", 2, "--topk", 8)
        self.assertEqual([row["policy"] for row in scored["rows"]], ["dsrasq", "full"])
        for row in scored["rows"]:
            self.assertLess(row["perplexity"], 150)
        seen = self.done("inspect", self.model)
        self.assertEqual(seen["adapter"], result["adapter"])
        self.assertEqual(seen["tokenizer"]["vocab_size"], 300)
        self.done("generate", "--model", self.model, "--max-tokens", 2, "The lighthouse")
        again = self.done(*self.words("--vocab", 300))  # the run is over: nothing is trained again
        self.assertEqual(again["perplexity"], result["perplexity"])

    def test_a_given_tokenizer_and_full_attention(self):
        result = self.done(*self.words("--tokenizer", MODEL, "--attention", "full", "--steps", 2, "--dtype", "f32"))
        self.assertEqual(result["adapter"], "")
        seen = self.done("inspect", self.model)
        self.assertEqual(seen["tokenizer"]["fingerprint"], self.done("inspect", MODEL)["tokenizer"]["fingerprint"])
        self.assertIsNone(seen["adapter"])

    def test_grouped_cross_attention_is_for_eval_perplexity_alone(self):
        gca = ("--attention", "gca", "--chunk", 7, "--chunk-topk", 2, "--encoder-layers", 1)
        self.assertGreater(self.done(*self.words(*gca, "--dry-run"))["step_seconds"], 0)
        result = self.done(*self.words(*gca, "--vocab", 300))
        self.assertEqual((result["steps"], result["adapter"]), (30, ""))
        score = ("eval", "perplexity", "--model", self.model, "--text", self.text, "--length", 64, "--samples", 2)
        scored = self.done(*score)
        self.assertEqual([row["policy"] for row in scored["rows"]], ["gca"])
        self.assertLess(scored["perplexity"], 150)
        self.assertGreater(scored["mean_retrieved"], 0)
        again = self.done(*self.words(*gca, "--vocab", 300))
        self.assertEqual(again["perplexity"], result["perplexity"])
        self.assertIn("leave out --policy", self.refused(2, "invalid_argument", *score, "--policy", "full"))
        for words in (("ask", "--context", self.text, "Who?"), ("generate", "The"), ("inspect", self.model),
                      ("train", "retriever", "--data", self.text, "-o", self.folder / "a.safetensors")):
            model = () if words[0] == "inspect" else ("--model", self.model)
            self.assertIn('model_type "gca" is not supported', self.refused(3, "bad_input", *words, *model))
        self.assertIn("holds a model with another attention",
                      self.refused(2, "invalid_argument", *self.words("--tokenizer", MODEL, "--attention", "full")))

    def test_plans_leave_nothing(self):
        result = self.done(*self.words("--dry-run"))
        self.assertGreater(result["parameters"], result["embedding_parameters"])
        self.assertEqual(os.listdir(self.folder), [self.text.name])

    def test_what_cannot_be_a_model_is_refused_in_a_sentence(self):
        for words, status, code, message in (
                (("--heads", 3), 2, "invalid_argument", "--hidden is 32, which is no multiple of --heads 3"),
                (("--kv-heads", 4), 2, "invalid_argument", "which is no multiple of --kv-heads 4"),
                (("--vocab", 256), 2, "invalid_argument", "--vocab has to be from 257"),
                (("--tokenizer", "a.gguf"), 2, "invalid_argument", "name a folder with a tokenizer.json"),
                (("--tokenizer", self.folder), 3, "bad_input", "tokenizer.json"),
                (("--data", self.folder / "none.txt"), 3, "bad_input", "none.txt"),
                (("--length", 65536), 3, "bad_input", "the longest of the 1 texts")):
            with self.subTest(words=words):
                self.assertIn(message, self.refused(status, code, *self.words("--vocab", 300, *words)))
        self.assertFalse(self.model.exists())


if __name__ == "__main__":
    run.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
