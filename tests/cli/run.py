"""The program from outside: options, JSON, exit statuses, sessions. Standard library only.

    python3 tests/cli/run.py build/dev/bin/dsrasq [TEST...]

Tests that need a model skip themselves when models/ has none.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODEL = ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
COMMANDS = ["ask", "digest", "generate", "chat", "convert", "train retriever", "train joint", "train lm", "sweep",
            "eval perplexity", "eval needle", "eval gist", "eval retrieval", "eval qa", "eval summarization", "eval translation",
            "eval ruler", "eval babi", "eval longbench", "eval news", "eval dialogue", "score", "data prepare",
            "data index", "bench prefill", "bench decode", "bench scaling", "report", "inspect", "version"]
TEXT = ("The lighthouse keeper kept a notebook about the weather. "
        "Every morning she wrote down the wind and the height of the waves. ") * 40
AB = "ab a b " * 200  # all that a tiny model's tokenizer knows
program = None


def run(*words, stdin="", timeout=600, cwd=ROOT):
    return subprocess.run([program, *map(str, words)], input=stdin, capture_output=True, text=True,
                          cwd=cwd, timeout=timeout, check=False)


class CliTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def tiny_model(self):
        """A folder of its own, so that a test may damage it."""
        model = self.folder / "tiny"
        model.mkdir()
        for name in ("config.json", "model.safetensors"):
            shutil.copy(ROOT / "tests/golden/models/llama" / name, model)
        shutil.copy(ROOT / "tests/fuzz/tokenizer_json/byte_level.json", model / "tokenizer.json")
        return model

    def json_of(self, done):
        """The one JSON object on stdout, whose status must agree with the exit status."""
        self.assertEqual(done.stdout.count("\n"), 1, done.stdout + done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(result["status"], "ok" if done.returncode == 0 else "error", done.stderr)
        return result

    def refused(self, status, code, *words, **options):
        """Runs with --json; returns the message."""
        done = run("--json", *words, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        result = self.json_of(done)
        self.assertEqual(result["code"], code)
        return result["message"]


class WithoutModel(CliTest):
    def test_help_lists_every_command(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for command in COMMANDS:
            self.assertIn(f"  {command} ", done.stdout)
        self.assertEqual(run().stdout, done.stdout)

    def test_every_command_has_help_with_an_example(self):
        for command in COMMANDS:
            done = run(*command.split(), "--help")
            self.assertEqual(done.returncode, 0, command)
            self.assertIn(f"  dsrasq {command}", done.stdout)
            self.assertIn("--json", done.stdout)
            self.assertEqual(run("help", *command.split()).stdout, done.stdout)

    def test_help_shows_the_contracts_options_with_defaults(self):
        page = run("ask", "--help").stdout
        for option in ("--model", "--adapter", "--policy", "--window INT=512", "--sinks INT=4",
                       "--topk INT=256", "--slots", "--pool", "--memory", "--retention", "--device",
                       "--threads", "--seed", "--config", "--json", "--temperature",
                       "--top-k-sampling", "--top-p", "--min-p", "--repeat-penalty", "--stop",
                       "--max-tokens INT=256", "--context", "--session", "--show-retrieved"):
            self.assertIn(option, page)

    def test_a_group_lists_its_commands(self):
        done = run("eval", "--help")
        self.assertIn("eval needle", done.stdout)
        self.assertNotIn("digest", done.stdout)
        self.assertIn("one more word", self.refused(2, "invalid_argument", "eval"))

    def test_version_is_json(self):
        done = run("version", "--json")
        self.assertEqual(self.json_of(done)["version"].count("."), 2)
        self.assertEqual(json.loads(run("--json", "version").stdout), json.loads(done.stdout))

    def test_mistyped_names_get_a_suggestion(self):
        self.assertIn("did you mean dsrasq ask?", self.refused(2, "invalid_argument", "aks"))
        self.assertIn("did you mean dsrasq eval needle?",
                      self.refused(2, "invalid_argument", "eval", "nedle"))
        self.assertIn("unknown option --widnow of ask; did you mean --window?",
                      self.refused(2, "invalid_argument", "ask", "--widnow", "3"))

    def test_wrong_values_name_the_option(self):
        self.assertIn('--window is "wide", want a whole number',
                      self.refused(2, "invalid_argument", "ask", "--window", "wide"))
        self.assertIn("is not a size", self.refused(2, "invalid_argument", "ask", "--memory", "lots"))
        self.assertIn("--window", self.refused(2, "invalid_argument", "ask", "--window"))

    def test_errors_without_json_go_to_stderr_only(self):
        done = run("ask", "--widnow", "3")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("--widnow", done.stderr)

    def test_a_missing_question_is_told_from_a_file(self):
        path = self.file("a.txt", "text")
        self.assertIn("the question is missing: the last argument",
                      self.refused(2, "invalid_argument", "ask", "--context", path))
        self.assertIn("there is only one of them",
                      self.refused(2, "invalid_argument", "ask", "--context", "Why?"))
        self.assertIn("either --context", self.refused(2, "invalid_argument", "ask", "Why?"))

    def test_a_missing_model_is_a_bad_input(self):
        path = self.file("a.txt", "text")
        message = self.refused(3, "bad_input", "ask", "--context", path, "Why?", "--model", "none.gguf")
        self.assertIn("none.gguf", message)

    def test_a_damaged_model_is_a_bad_input(self):
        path = self.file("broken.gguf", "GGUF but not really")
        self.assertIn("broken.gguf", self.refused(3, "bad_input", "inspect", path))

    def test_a_config_file_with_an_unknown_key_is_refused(self):
        path = self.file("c.json", '{"windw": 3}')
        self.assertIn('unknown key "windw" of ask; did you mean window?',
                      self.refused(2, "invalid_argument", "ask", "--config", path, "Why?"))

    def test_digest_wants_an_output_and_no_question(self):
        self.assertIn("-o FILE", self.refused(2, "invalid_argument", "digest", "a.txt"))
        self.assertIn("ask --context", self.refused(2, "invalid_argument", "digest", "a.txt", "-o",
                                                    "x.dsr", "--retention", "question"))

    def test_a_full_disk_is_an_output_error(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([program, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  check=False)
        self.assertEqual(done.returncode, 5, done.stderr)


@unittest.skipUnless(MODEL.exists(), "models/ has no SmolLM2 (scripts/setup brings it)")
class WithModel(CliTest):
    # The policy `recency` needs no adapter.
    options = ["--policy", "recency", "--max-tokens", "8", "--window", "64", "--topk", "32"]

    def test_ask_answers_with_every_key_of_the_contract(self):
        path = self.file("log.txt", TEXT)
        done = run("ask", "--context", path, "What did she write down?", "--json", *self.options)
        result = self.json_of(done)
        for key in ("answer", "context_tokens", "cache_bytes", "peak_rss_bytes",
                    "prefill_tokens_per_s", "first_token_ms", "decode_tokens_per_s", "passages", "config"):
            self.assertIn(key, result)
        self.assertGreater(result["context_tokens"], 800)
        self.assertEqual(result["config"]["window"], 64)
        self.assertIn("fixed for this session", done.stderr)
        for passage in result["passages"]:
            self.assertEqual(TEXT.encode()[passage["start"]:passage["end"]].decode(), passage["text"])

    def test_ask_streams_text_and_shows_passages(self):
        path = self.file("log.txt", TEXT)
        done = run("ask", "--context", path, "What did she write?", "--show-retrieved", *self.options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("log.txt, bytes ", done.stdout)
        self.assertNotIn("reading", done.stdout)
        self.assertIn("reading", done.stderr)

    def test_passages_are_read_again_where_memory_and_the_user_allow(self):
        path = self.file("log.txt", TEXT)

        def ask(*words):
            done = run("ask", "--context", path, "What did she write?", "--json", *self.options, *words)
            return self.json_of(done), done.stderr
        again, notes = ask()
        self.assertIn("passages: ", notes)
        alone, notes = ask("--reread", "0")
        self.assertNotIn("passages: ", notes)
        self.assertGreater(again["cache_bytes"], alone["cache_bytes"])
        tight, notes = ask("--memory", str(alone["cache_bytes"]))
        self.assertIn("no room to read passages again", notes)
        self.assertLessEqual(tight["cache_bytes"], alone["cache_bytes"])
        self.assertIn("--reread is 65, want 0 to 64",
                      self.refused(2, "invalid_argument", "ask", "--context", path, "Why?", "--reread", "65"))

    def test_quiet_leaves_stderr_empty(self):
        done = run("generate", "Once", "--quiet", *self.options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_digest_answers_as_the_text_itself(self):
        path, session = self.file("log.txt", TEXT), self.folder / "log.dsr"
        sizes = ["--window", "64", "--topk", "32", "--pool", "2048", "--policy", "recency"]
        digested = self.json_of(run("digest", path, "-o", session, "--json", *sizes))
        self.assertEqual(digested["session_bytes"], session.stat().st_size)
        self.assertTrue((self.folder / "log.dsr.config.json").exists())
        kept = self.json_of(run("ask", "--session", session, "What did she write?", "--json",
                                "--max-tokens", "8"))
        fresh = self.json_of(run("ask", "--context", path, "What did she write?", "--json",
                                 "--max-tokens", "8", *sizes))
        for key in ("answer", "context_tokens", "cache_bytes"):
            self.assertEqual(kept[key], fresh[key])
        for a, b in zip(kept["passages"], fresh["passages"], strict=True):
            self.assertEqual((a["start"], a["end"]), (b["start"], b["end"]))
            self.assertAlmostEqual(a["weight"], b["weight"], places=4)
        self.assertIn("the session file settles it",
                      self.refused(2, "invalid_argument", "ask", "--session", session, "Why?",
                                   "--window", "32"))
        info = self.json_of(run("inspect", session, "--json"))
        self.assertEqual((info["kind"], info["state"]["options"]["window"]), ("session", 64))

    def test_a_damaged_session_is_refused(self):
        path, session = self.file("log.txt", TEXT[:500]), self.folder / "log.dsr"
        self.json_of(run("digest", path, "-o", session, "--json", "--policy", "recency", "--pool", "512"))
        data = bytearray(session.read_bytes())
        data[len(data) // 2] ^= 1
        session.write_bytes(data)
        self.assertIn("log.dsr", self.refused(3, "bad_input", "ask", "--session", session, "Why?"))

    def test_memory_sets_the_size_and_too_little_is_refused(self):
        path = self.file("log.txt", TEXT)
        result = self.json_of(run("ask", "--context", path, "Why?", "--json", "--policy", "recency",
                                  "--memory", "64M", "--max-tokens", "1"))
        self.assertLessEqual(result["cache_bytes"], 64 << 20)
        message = self.refused(4, "resource_exhausted", "ask", "--context", path, "Why?", "--policy",
                               "recency", "--memory", "1M")
        self.assertIn("--window takes less", message)

    def test_more_memory_than_the_machine_has_is_refused_before_loading(self):
        start = time.monotonic()
        message = self.refused(4, "resource_exhausted", "generate", "Hi", "--policy", "recency",
                               "--pool", 50_000_000)
        self.assertIn("a smaller --pool takes less", message)
        self.assertLess(time.monotonic() - start, 60)

    def test_generate_is_repeatable_and_seeded(self):
        words = ["generate", "The sea", "--json", "--temperature", "1", *self.options]
        first, again = self.json_of(run(*words)), self.json_of(run(*words))
        other = self.json_of(run(*words, "--seed", "5"))
        self.assertEqual(first["answer"], again["answer"])
        self.assertNotEqual(first["answer"], other["answer"])
        self.assertEqual(first["answer_tokens"], 8)
        from_file = self.json_of(run("generate", f"@{self.file('p.txt', 'The sea')}", *words[2:]))
        self.assertEqual(first["answer"], from_file["answer"])

    def test_a_stop_text_ends_the_answer(self):
        whole = self.json_of(run("generate", "One two three four", "--json", "--max-tokens", "20",
                                 "--policy", "recency"))["answer"]
        stop = whole.split()[1]
        cut = self.json_of(run("generate", "One two three four", "--json", "--max-tokens", "20",
                               "--policy", "recency", "--stop", stop))
        self.assertNotIn(stop, cut["answer"])
        self.assertEqual(cut["finish_reason"], "stop")

    def test_chat_keeps_a_session(self):
        session = self.folder / "chat.dsr"
        lines = f"My name is \\\nAnn.\n/stats\n/save {session}\n/nonsense\nHello\n/exit\n"
        result = self.json_of(run("chat", "--json", *self.options, stdin=lines))
        self.assertEqual([turn["message"] for turn in result["turns"]], ["My name is \nAnn.", "Hello"])
        again = self.json_of(run("chat", "--json", "--session", session, "--max-tokens", "8",
                                 stdin="Hello\n"))
        self.assertEqual(again["turns"][0]["answer"], result["turns"][1]["answer"])

    def test_ctrl_c_stops_an_answer_and_not_the_chat(self):
        with subprocess.Popen([program, "chat", "--policy", "recency", "--max-tokens", "2000", "--quiet"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, bufsize=1, cwd=ROOT) as process:
            process.stdin.write("Tell me a very long story about the sea.\n")
            process.stdin.flush()
            first = process.stdout.read(5)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate("/stats\n/exit\n", timeout=120)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(len(first), 5)
        self.assertRegex(out, r"\d+ tokens in this session; memory: \d+ MiB fixed")

    def test_a_config_file_sets_what_the_command_line_does_not(self):
        path = self.file("c.toml", '[generate]\npolicy = "recency"\nmax-tokens = 3\nwindow = 99\n')
        result = self.json_of(run("generate", "The sea", "--config", path, "--window", "64", "--json"))
        config = result["config"]
        self.assertEqual((config["policy"], config["max-tokens"], config["window"]), ("recency", 3, 64))
        self.assertEqual(result["answer_tokens"], 3)

    def test_ctrl_c_keeps_what_was_digested(self):
        path, session = self.file("log.txt", TEXT * 40), self.folder / "log.dsr"
        with subprocess.Popen([program, "digest", path, "-o", session, "--policy", "recency", "--pool",
                               "1024", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, cwd=ROOT) as process:
            for line in process.stderr:
                if "memory:" in line:
                    break
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(json.loads(out)["code"], "interrupted")
        info = self.json_of(run("inspect", session, "--json"))
        self.assertGreater(info["state"]["position"], 0)

    def test_inspect_describes_the_model(self):
        info = self.json_of(run("inspect", MODEL, "--json"))
        self.assertEqual(info["kind"], "model")
        self.assertEqual(info["model"]["n_layers"], "30")
        self.assertEqual(sum(row["weights"] for row in info["types"]), info["weights"])
        self.assertTrue(info["tokenizer"]["chat_template"])

    def test_the_adapter_of_another_model_is_refused(self):
        adapter = self.file("a.safetensors", "not one")
        self.assertIn("a.safetensors", self.refused(3, "bad_input", "generate", "Hi", "--adapter",
                                                    adapter))


if __name__ == "__main__":
    program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
