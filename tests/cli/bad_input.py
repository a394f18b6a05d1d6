"""What must be refused, with a tiny model of the golden files: one sentence that names what and where, the
right exit status, nothing half written. Standard library only.

    python3 tests/cli/bad_input.py build/dev/bin/dsrasq [TEST...]
"""
import json
import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys
import time
import unittest

import run
from run import ROOT


class BadInput(run.CliTest):
    def setUp(self):
        super().setUp()
        self.model = self.tiny_model()
        self.options = ["--model", self.model, "--policy", "recency"]
        self.text = self.file("ab.txt", run.AB)

    def ask_refused(self, status, code, *words, **options):
        return self.refused(status, code, "ask", *self.options, *words, **options)

    def context_refused(self, path, *words):
        """The message, which names the file; nothing but the error (and notes) is on stderr."""
        message = self.ask_refused(3, "bad_input", "--context", path, *words, "--", "a b")
        self.assertIn(str(path), message)
        return message

    def digest(self, *words, **options):
        return run.run("digest", *self.options, "--window", 16, "--pool", 64, "--json", *words, **options)

    # Texts.
    def test_context_that_is_no_text(self):
        binary = self.folder / "random.bin"
        binary.write_bytes(bytes(range(256)) * 40)
        self.assertIn("is not a text file: NUL byte at offset 0", self.context_refused(binary))
        self.assertIn("is not a text file", self.refused(3, "bad_input", "generate", *self.options, f"@{binary}"))
        self.assertIn("is a folder", self.context_refused(self.folder))
        self.assertIn("is empty", self.context_refused(self.file("empty.txt", "")))
        self.assertIn("No such file", self.context_refused(self.folder / "none.txt"))

    @unittest.skipIf(os.getuid() == 0, "root may read everything")
    def test_context_without_permission(self):
        self.text.chmod(0)
        self.assertIn("Permission denied", self.context_refused(self.text))

    def test_context_of_twenty_gigabytes_is_refused_unread(self):
        with open(self.text, "r+b") as file:
            file.truncate(20 << 30)
        start = time.monotonic()
        self.assertIn("holds more text than the limit allows (4294967296 bytes)",
                      self.context_refused(self.text))
        self.assertLess(time.monotonic() - start, 60)

    def test_context_from_standard_input(self):
        words = ["ask", *self.options, "--context", "-", "--max-tokens", 1, "--json", "--", "a b"]
        result = self.json_of(run.run(*words, stdin=run.AB))
        self.assertEqual(result["context_tokens"], self.json_of(
            run.run(*[self.text if word == "-" else word for word in words]))["context_tokens"])
        self.assertIn("standard input is empty", self.refused(3, "bad_input", *words[:-3], "--", "a b"))

    def test_contexts_that_do_not_fit_into_memory_are_refused_unread(self):
        with open(self.text, "r+b") as file:
            file.truncate((4 << 30) - 1)
        words = [word for _ in range(1000) for word in ("--context", self.text)]
        self.assertRegex(self.ask_refused(4, "resource_exhausted", *words, "--", "a b"),
                         r"ab.txt with the others takes about 8\d{6} MiB of memory as text and tokens, "
                         r"and \d+ MiB are free")

    # Options.
    def test_options_out_of_range(self):
        for option, value, words in (
                ("pool", 10**15, "--pool is 1000000000000000, want 0 to"), ("pool", 10**20, "whole number"),
                ("pool", -2, "--pool is -2"), ("topk", -1, "--topk is -1, want 0 to"),
                ("window", 0, "--window is 0, want 1 to"), ("sinks", -1, "--sinks is -1"),
                ("slots", -1, "--slots is -1"), ("max-distance", -1, "--max-distance is -1"),
                ("memory", -5, "is not a size"), ("threads", -1, "--threads is -1, want 0 to"),
                ("threads", 10**6, "--threads is 1000000"), ("device", "tpu", "want cpu or cuda"),
                ("retention", "all", "want recency, score or question"), ("policy", "none", "want one of"),
                ("temperature", "nan", "want a number"), ("seed", -1, "of at least 0")):
            with self.subTest(option=option, value=value):
                self.assertIn(words, self.ask_refused(2, "invalid_argument", "--context", self.text,
                                                      f"--{option}", value, "--", "a b"))

    def test_how_to_answer_is_checked_before_reading(self):
        for option, value in (("max-tokens", -1), ("temperature", -1), ("top-p", 0), ("repeat-penalty", 0)):
            with self.subTest(option=option):
                done = run.run("generate", *self.options, f"--{option}", value, "a b")
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn(f" is {value}, want", done.stderr)

    def test_a_budget_that_is_too_small(self):
        self.assertIn("more than the 1 KiB of --memory", self.ask_refused(
            4, "resource_exhausted", "--context", self.text, "--memory", "1K", "--", "a b"))
        self.assertEqual(self.json_of(run.run(
            "ask", *self.options, "--context", self.text, "--pool", 0, "--max-tokens", 1, "--json", "--",
            "a b"))["mean_retrieved"], 0)

    # Models.
    def test_an_unknown_architecture(self):
        config = json.loads((self.model / "config.json").read_text())
        config.update(model_type="mamba", architectures=["MambaForCausalLM"])
        (self.model / "config.json").write_text(json.dumps(config))
        message = self.ask_refused(3, "bad_input", "--context", self.text, "--", "a b")
        self.assertIn("mamba", message)
        self.assertIn("config.json", message)

    def test_an_unknown_quantisation_type(self):
        data = bytearray((ROOT / "tests/fuzz/checkpoint/llama.gguf").read_bytes())
        name = b"token_embd.weight"
        at = data.index(name) + len(name)
        struct.pack_into("<I", data, at + 4 + 8 * struct.unpack_from("<I", data, at)[0], 99)
        path = self.folder / "odd.gguf"
        path.write_bytes(data)
        self.assertIn("odd.gguf: tensor token_embd.weight has quantisation type 99, which is not supported",
                      self.refused(3, "bad_input", "inspect", path))

    def test_a_tokenizer_of_another_model(self):
        tokenizer = json.loads((self.model / "tokenizer.json").read_text())
        tokenizer["model"]["vocab"].update({f"word{i}": 10 + i for i in range(100)})
        (self.model / "tokenizer.json").write_text(json.dumps(tokenizer))
        self.assertIn("the tokenizer has 110 tokens, the model 96",
                      self.ask_refused(3, "bad_input", "--context", self.text, "--", "a b"))

    def test_weights_that_are_not_numbers(self):
        path = self.model / "model.safetensors"
        data = bytearray(path.read_bytes())
        header_bytes = struct.unpack_from("<Q", data)[0]
        header = json.loads(data[8:8 + header_bytes])
        begin, end = header["model.norm.weight"]["data_offsets"]
        for at in range(8 + header_bytes + begin, 8 + header_bytes + end):
            data[at] = 0xff  # a NaN in every float type
        path.write_bytes(data)
        for command in (["ask", "--context", self.text, "a b"], ["generate", "a b"],
                        ["digest", self.text, "-o", self.folder / "x.dsr"],
                        ["eval", "perplexity", "--text", self.text, "--length", 64, "--samples", 1]):
            with self.subTest(command=command[0]):
                self.assertIn(f"{self.model} computes", self.refused(
                    3, "bad_input", *command[:1 + (command[0] == "eval")], *self.options,
                    *command[1 + (command[0] == "eval"):]))
        self.assertFalse((self.folder / "x.dsr").exists())

    # Sessions.
    def test_a_session_damaged_anywhere_is_refused_and_kept(self):
        session = self.folder / "s.dsr"
        self.json_of(self.digest(self.text, "-o", session))
        good = session.read_bytes()
        n = len(good)
        damaged = [good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1:]
                   for at in (0, 8, 12, 20, 40, 100, 17_000, 85_000, n // 2, n - 30, n - 1)]
        for data in damaged + [b"", good[:100], good[:n // 2], good[:-1], good + b"x"]:
            session.write_bytes(data)
            self.assertIn("s.dsr", self.refused(3, "bad_input", "ask", "--model", self.model, "--session",
                                                session, "--", "a b"))
        self.assertIn("s.dsr", self.refused(3, "bad_input", "digest", "--model", self.model, "--session",
                                            session, "-o", session, "--", self.text))
        self.assertEqual(session.read_bytes(), good + b"x")

    def test_a_session_with_right_checksums_and_wrong_sizes_reserves_nothing(self):
        session = self.folder / "s.dsr"
        self.json_of(self.digest(self.text, "-o", session))
        data = session.read_bytes()
        options = b'"pool":64,'
        self.assertEqual(data.count(options), 1)
        head = 8 + 4 + 4 + len("dsrasq session") + 4  # then the section "state"
        body = data[head:head + 4 + len("state") + 8 + (16 << 10)]
        changed = body.replace(options + b'"', b'"pool":64000000,"').replace(b" " * 6, b"", 1)
        self.assertEqual(len(changed), len(body))
        session.write_bytes(data[:head] + changed + struct.pack("<I", crc32c(changed)) +
                            data[head + len(body) + 4:])
        self.assertIn("its options describe a memory of", self.refused(
            3, "bad_input", "ask", "--model", self.model, "--session", session, "--", "a b"))

    # Outputs.
    def test_an_output_that_cannot_be_written_is_told_before_reading(self):
        done = self.digest(self.text, "-o", self.folder / "none" / "x.dsr")
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("none/x.dsr: No such file or directory", self.json_of(done)["message"])
        self.assertNotIn("reading", done.stderr)
        self.assertEqual(self.digest(self.text, "-o", self.folder).returncode, 5)

    def test_a_disk_that_is_full_leaves_no_part_and_keeps_the_old_file(self):
        session = self.folder / "s.dsr"
        self.json_of(self.digest(self.text, "-o", session))
        good = session.read_bytes()
        before = sorted(os.listdir(self.folder))
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        done = subprocess.run([run.program, "digest", *map(str, self.options), "--window", "16", "--pool", "64",
                               "--json", self.text, "-o", session], capture_output=True, text=True, cwd=ROOT,
                              preexec_fn=limit, check=False)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("s.dsr: File too large", self.json_of(done)["message"])
        self.assertEqual((session.read_bytes(), sorted(os.listdir(self.folder))), (good, before))

    def test_a_text_whose_name_is_not_utf8_can_be_digested(self):
        path = os.fsencode(self.folder) + b"/caf\xe9.txt"
        with open(path, "w", encoding="utf-8") as file:
            file.write(run.AB)
        session = self.folder / "s.dsr"
        self.json_of(self.digest(os.fsdecode(path), "-o", session))
        self.json_of(run.run("ask", "--model", self.model, "--session", session, "--max-tokens", 1, "--json",
                             "--", "a b"))

    def test_a_session_that_cannot_be_kept_does_not_end_a_chat(self):
        done = run.run("chat", *self.options, "--quiet", stdin=f"/save {self.folder}/none/x.dsr\n/exit\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"^warning: [^\[]*none/x.dsr: No such file or directory\n$")

    # Trainings.
    def train(self, output, *words):
        return run.run("train", "retriever", "--model", self.model, "--data", self.text, "--length", 64,
                       "--long-length", 64, "--window", 16, "--sinks", 2, "--rows", 8, "--steps", 1,
                       "--eval-stretches", 1, "-o", output, "--json", *words)

    def train_refused(self, status, output, *words):
        done = self.train(output, *words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return self.json_of(done)["message"]

    def test_a_refused_training_leaves_nothing(self):
        before = sorted(os.listdir(self.folder))
        missing = self.folder / "missing" / "x"
        self.assertIn("none.txt", self.train_refused(3, missing, "--data", "none.txt"))
        self.assertIn("none.safetensors", self.train_refused(3, missing, "--init", "none.safetensors"))
        self.assertIn("ab.txt/x: Not a directory", self.train_refused(5, self.text / "x"))
        self.assertIn("is no regular file", self.train_refused(5, self.folder))
        self.assertIn("missing/x: No such file", self.train_refused(5, self.folder / "a", "--profile", missing))
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_trainings_take_names_that_are_not_utf8(self):
        first = os.fsdecode(os.fsencode(self.folder) + b"/caf\xe9.safetensors")
        self.assertIn("score", self.json_of(self.train(first)))
        second = self.folder / "b.safetensors"
        for _ in range(2):  # the second goes on from the first one's checkpoint
            self.assertEqual(self.json_of(self.train(second, "--init", first))["steps"], 1)
        joint = self.json_of(run.run("train", "joint", "--model", self.model, "--adapter", first, "--data",
                                     self.text, "--length", 64, "--long-length", 64, "--window", 16,
                                     "--steps", 1, "--lora-rank", 1, "--eval-stretches", 1, "-o", first + "2",
                                     "--json", "--quiet"))
        self.assertEqual(joint["steps"], 1)

    # Results of several processes.
    def test_merged_results_keep_the_options_of_the_shards(self):
        words = ["eval", "needle", *self.options, "--text", self.text, "--max-tokens", 1, "--samples", 2]
        shards = []
        for shard, length in (("0/2", 400), ("1/2", 400), ("1/2", 410)):
            done = run.run(*words, "--length", length, "--shard", shard, "--json")
            shards.append(self.file(f"{len(shards)}.json", done.stdout))
        first = self.json_of(done)["config"]
        merged = self.json_of(run.run("eval", "needle", "--merge", *shards[:2], "--json"))
        self.assertEqual(len(merged["samples"]), 2)
        wanted = {name: value for name, value in first.items() if name not in ("shard", "merge")}
        self.assertEqual(merged["config"], {**wanted, "length": [400]})
        self.assertIn(f"{shards[0]} and {shards[2]} cannot be merged: their config has length [400] and [410]",
                      self.refused(3, "bad_input", "eval", "needle", "--merge", shards[0], shards[2]))

    # Ctrl-C.
    def interrupted(self, *words, at):
        """Sends SIGINT when `at` is on stderr; returns the error's message."""
        with subprocess.Popen([run.program, *map(str, words), "--json"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
            for line in process.stderr:
                if at in line:
                    break
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, out)
        self.assertEqual(json.loads(out)["code"], "interrupted")
        return json.loads(out)["message"]

    def test_ctrl_c_while_reading(self):
        long = self.file("long.txt", run.AB * 200)
        self.interrupted("ask", *self.options, "--context", long, "a b", at="memory:")
        session = self.folder / "s.dsr"
        message = self.interrupted("digest", *self.options, "--pool", 64, long, "-o", session, at="memory:")
        self.assertRegex(message, r"stopped after \d+ tokens, which .*s.dsr holds")
        result = self.json_of(run.run("ask", "--model", self.model, "--session", session, "--max-tokens", 1,
                                      "--json", "--", "a b"))
        self.assertIn(f"after {result['context_tokens'] + 3} tokens", message)


TEXT_MODEL = ["--model", ROOT / "tests/golden/models/text", "--adapter", "none"]


def hotpot(number, **changes):
    """A question whose answer stands in the second passage."""
    passages = [[name, [f"{name} is from {town}. "] * 6] for name, town in
                (("Ann", "Ulm"), ("Bo", f"town {number}"), ("Cy", "Rome"))]
    return dict({"_id": f"q{number}", "question": "Where is Bo from?", "answer": f"town {number}",
                 "supporting_facts": [["Bo", 0]], "context": passages}, **changes)


class Evaluations(run.CliTest):
    """What is wrong with the data of an evaluation is said before the model is loaded, with file and place."""
    interrupted = BadInput.interrupted

    def setUp(self):
        super().setUp()
        self.text = self.file("ab.txt", run.AB)
        self.policy = ["--policy", "recency:topk=8:window=32,random:topk=8:window=32"]

    def hotpot_file(self, *records):
        return self.file("hotpot.json", "[" + ",\n".join(map(json.dumps, records)) + "]")

    def qa_refused(self, *records, command=("eval", "qa")):
        path = self.hotpot_file(*records)
        message = self.refused(3, "bad_input", *command, "--data", path, "--model", "none.gguf")
        self.assertIn("hotpot.json", message)
        return message

    def test_fields_that_are_missing_or_wrong(self):
        for changes, words in (({"answer": None}, 'record 2 (line 2) lacks "answer"'),
                               ({"answer": ""}, "record 2 (line 2): answer is empty"),
                               ({"question": 7}, "record 2 (line 2): question is no string"),
                               ({"context": []}, "q2 has no text to read"),
                               ({"context": [["A"]]}, "context[0] has only 1 items")):
            with self.subTest(changes=changes):
                self.assertIn(words, self.qa_refused(hotpot(1), hotpot(2, **changes)))

    def test_an_id_that_is_there_twice(self):
        self.assertIn("q1 is there twice", self.qa_refused(hotpot(1), hotpot(2), hotpot(1)))

    def test_references_that_are_empty(self):
        for record, field in (({"question": "Who?", "answers": [], "ctxs": [{"title": "T", "text": "X"}]}, "answers"),
                              ({"document": "A text.", "summary": " "}, "summary"),
                              ({"input": "What?", "outputs": [""]}, "outputs[0]")):
            path = self.file("data.jsonl", json.dumps(record))
            kind = {"answers": "qa", "summary": "summarization"}.get(field, "ruler")
            message = self.refused(3, "bad_input", "eval", kind, "--data", path, "--model", "none.gguf")
            self.assertIn("data.jsonl", message)
            self.assertIn(f"record 1 (line 1): {field} is empty", message)

    def test_questions_without_a_gold_passage_are_not_prepared(self):
        path = self.hotpot_file(hotpot(1), hotpot(2, supporting_facts=[["Nobody", 0]]))
        folder = self.folder / "prepared"
        message = self.refused(3, "bad_input", "data", "prepare", path, *TEXT_MODEL[:2], "--length", 512, "-o", folder)
        self.assertIn("hotpot/q2 has no gold passage", message)
        self.assertFalse((folder / "data.tokens").exists())

    def test_lengths_that_the_data_cannot_give(self):
        path = self.hotpot_file(hotpot(1), hotpot(2))
        folder = self.folder / "prepared"
        message = self.refused(3, "bad_input", "data", "prepare", path, *TEXT_MODEL[:2], "--length", 8192,
                               "-o", folder)
        self.assertRegex(message, r"different passages have about \d+ tokens together, fewer than --length 8192")
        self.assertFalse((folder / "data.tokens").exists())
        self.assertIn("the texts hold 0 stretches of 100000 tokens that do not overlap, want 1", self.refused(
            2, "invalid_argument", "eval", "perplexity", *TEXT_MODEL, *self.policy, "--text", self.text,
            "--length", 100000, "--samples", 1))
        self.assertIn("length is 8 tokens, of which the question and the needle alone take", self.refused(
            2, "invalid_argument", "eval", "needle", *TEXT_MODEL, *self.policy, "--text", self.text, "--length", 8))

    def test_policies_that_retrieve_nothing_have_no_retrieval(self):
        data = self.hotpot_file(hotpot(1))
        self.assertIn("policy 'full' retrieves nothing from a pool", self.refused(
            2, "invalid_argument", "eval", "retrieval", "--model", "none.gguf", "--data", data, "--policy", "full"))
        self.assertIn("want --data FILE", self.refused(2, "invalid_argument", "eval", "retrieval", *self.policy))

    def test_a_run_that_was_stopped_halfway_ends_with_the_same_result(self):
        data = self.hotpot_file(*(hotpot(number) for number in range(12)))
        for command, words in (("qa", ["--max-tokens", 8]), ("retrieval", [])):
            words = ["eval", command, *TEXT_MODEL, *self.policy, "--data", data, "--samples", 0, *words]
            whole = self.json_of(run.run(*words, "--json"))
            answers = self.folder / f"{command}.jsonl"
            self.interrupted(*words, "--predictions", answers, at="hotpot, 3")
            n_kept = len(answers.read_text().splitlines())
            self.assertTrue(0 < n_kept < 24, n_kept)
            rest = self.json_of(run.run(*words, "--predictions", answers, "--json"))
            for result in (whole, rest):  # all but how long it took
                for line in result["rows"] + result["samples"]:
                    for name in [name for name in line if "seconds" in name]:
                        del line[name]
            self.assertEqual(rest["samples"], whole["samples"])
            self.assertEqual(rest["rows"], whole["rows"])


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


if __name__ == "__main__":
    run.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
