"""The comparison with programs that only pretend to measure."""
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import time
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import cells  # noqa: E402
import llama_cpp  # noqa: E402
import record  # noqa: E402
import turns  # noqa: E402

# Both note when they measure, in the file that the environment names.
COMMON = """#!%s
import json, os, sys, time
words, rest = sys.argv[1:], float(os.environ.get("REST", "0.05"))
def after(name):
    return [words[i + 1] for i, word in enumerate(words) if word == name]
def measure(who, seconds):
    start = time.monotonic()
    time.sleep(seconds)
    with open(os.environ["LOG"], "a") as log:
        log.write(json.dumps([who, start, time.monotonic()]) + "\\n")
""" % sys.executable
BENCH = COMMON + """
if "--version" in words:
    sys.exit(print("version: 0 (fake)"))
speed = {"on": 10, "off": 20}[after("-fa")[0]]
prompts = [int(n) for n in after("-p")[0].split(",") if n != "0"]
for model in after("-m"):
    for n in prompts or [int(after("-n")[0])]:
        time.sleep(rest)
        measure("llama.cpp", 0.05)
        faster = 2 if "q4_0" in model else 1
        print(json.dumps({"n_prompt": n if prompts else 0, "n_gen": 0 if prompts else n,
                          "samples_ns": [int(1e9 * n / speed / faster)]}), flush=True)
"""
DSRASQ = COMMON + """
if words[0] == "version":
    sys.exit(print(json.dumps({"version": "0", "libtorch": "0"})))
if words[0] == "inspect":
    sys.exit(print(json.dumps({"slots": 0, "lora_rank": 0, "thresholds": 0, "budget_heads": 0})))
if os.environ.get("BROKEN"):
    print("no adapter", file=sys.stderr)
    sys.exit(3)
length = int(after("--lengths")[0])
if words[1] == "prefill":
    measure("dsrasq", 0.05)
    sys.exit(print(json.dumps({"rows": [{"tokens_per_s": 80}]})))
for i in range(int(after("--repeats")[0])):
    time.sleep(rest)
    measure("dsrasq", 0.05)
    print("measured", i, file=sys.stderr, flush=True)
n = int(after("--decode-tokens")[0])
print(json.dumps({"rows": [{"seconds": [n / 100] * int(after("--repeats")[0])}]}))
"""
QUANTIZE = COMMON + """
open(words[2], "w").write(words[3])
"""


class Peers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name, text in (("llama-bench", BENCH), ("llama-quantize", QUANTIZE), ("dsrasq", DSRASQ)):
            (self.folder / name).write_text(textwrap.dedent(text))
            (self.folder / name).chmod(0o755)
        (self.folder / "model.q4_1.gguf").write_text("a model")
        self.output = self.folder / "record.json"

    def run_peers(self, *words, **environment):
        command = [sys.executable, str(HERE / "peers.py"), "--llama-bin", str(self.folder), "--dsrasq",
                   str(self.folder / "dsrasq"), "--model", str(self.folder / "model.q4_1.gguf"), "--work",
                   str(self.folder / "work"), "-o", str(self.output), "--threads", "1", "--rounds", "2", "--formats",
                   "q4_1,q4_0", *words]
        return subprocess.run(command, capture_output=True, text=True,
                              env={**os.environ, "LOG": str(self.folder / "log"), **environment})

    def read(self):
        return json.loads(self.output.read_text())

    def test_sides_take_turns(self):
        done = self.run_peers("--only", "decode", "--depths", "0", REST="0.5")
        self.assertEqual(done.returncode, 0, done.stderr)
        log = [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]
        # Two rounds of two formats and two k, for both ways of attending.
        self.assertEqual([who for who, _, _ in log], (["llama.cpp"] * 2 + ["dsrasq"] * 2) * 4)
        for (_, _, end), (_, start, _) in zip(log, log[1:]):
            self.assertLess(end, start)

    def test_the_record_holds_the_fastest_of_llama_cpp(self):
        done = self.run_peers("--depths", "0,8192,16384", "--lengths", "512")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = self.read()
        decode, _, deep, prefill = found["table"]
        self.assertEqual((decode["llama.cpp"]["format"], decode["llama.cpp"]["flash"]), ("q4_0", False))
        self.assertAlmostEqual(decode["llama.cpp"]["median"], 40, 3)
        self.assertAlmostEqual(decode["k=64"]["ratio"], 100 / 40, 3)
        self.assertAlmostEqual(prefill["k=256"]["ratio"], 80 / 40, 3)
        self.assertEqual((decode["target"], deep["target"], prefill["target"]), (1.1, 10, 1.8))
        self.assertEqual(deep["ways_measured"], 1)
        self.assertEqual(list(found["left_out"]), ["decode-16384-flash"])
        self.assertEqual(found["settings"]["adapter"]["slots"], 0)
        self.assertIn("-o jsonl -p 0 -n 32 -d 0", found["cells"][0]["commands"][0])
        self.assertNotIn(str(self.folder), self.output.read_text())
        self.assertGreater(prefill["peak_bytes"]["llama.cpp"], 1 << 20)
        self.assertIn("| decode | 8,192 | 40.0 (40.0 to 40.0) (q4_0, flash off)", done.stdout)

    def test_goes_on_and_refuses_other_settings(self):
        self.run_peers("--only", "decode", "--depths", "0")
        before = self.read()["cells"]
        self.assertEqual(self.run_peers("--only", "prefill", "--lengths", "512").returncode, 0)
        self.assertEqual(self.read()["cells"][:2], before)
        self.assertEqual(len(self.read()["cells"]), 4)
        done = self.run_peers("--pool", "64")
        self.assertEqual(done.returncode, 3)
        self.assertIn("was measured with pool 16384, now it is 64", done.stderr)

    def test_cells_at_once_share_nothing(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("one core")
        done = self.run_peers("--quick", "--parallel", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.read()["memory_bandwidth_shared"])
        self.assertEqual(len({cell["cores"] for cell in self.read()["cells"]}), 2)

    def test_what_does_not_fit_is_left_out(self):
        done = self.run_peers("--only", "decode", "--depths", "32768", "--minutes", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("decode-32768-flash: left out: it would take", done.stderr)
        self.assertIn("nothing was measured", done.stderr)
        self.assertFalse(self.output.exists())

    def test_a_program_that_fails_is_told(self):
        started = time.monotonic()
        done = self.run_peers("--only", "decode", "--depths", "0", BROKEN="1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("peers: decode-0-flash-dsrasq-64 failed: no adapter", done.stderr)
        self.assertFalse(self.output.exists())
        self.assertLess(time.monotonic() - started, 20)

    def test_too_many_cores_are_refused(self):
        done = self.run_peers("--parallel", "5000")
        self.assertEqual(done.returncode, 3)
        self.assertIn("5000 times 1 threads want 5000 cores", done.stderr)


class Rules(unittest.TestCase):
    def result(self, kind, length, flash, speed, formats=("q4_0",)):
        return {"kind": kind, "length": length, "flash": flash,
                "llama.cpp": {name: {"median": speed + i, "samples": []} for i, name in enumerate(formats)}}

    def test_the_slower_way_is_skipped_where_it_cannot_come_back(self):
        short = [self.result("decode", 0, True, 90), self.result("decode", 0, False, 60)]
        self.assertIsNone(cells.reason_to_skip(cells.Cell("decode", 8192, False), short))
        deep = [*short, self.result("decode", 8192, True, 10), self.result("decode", 8192, False, 15)]
        self.assertIsNone(cells.reason_to_skip(cells.Cell("decode", 16384, False), deep))
        self.assertIn("10.0 tokens/s at 8192 against 15.0",
                      cells.reason_to_skip(cells.Cell("decode", 16384, True), deep))

    def test_long_cells_take_the_formats_that_were_fastest(self):
        models = dict.fromkeys(["f16", "q8_0", "q4_0"])
        done = [self.result("decode", 0, True, 50, list(models))]
        self.assertEqual(cells.formats_for(cells.Cell("decode", 8192, True), done, models), ["q4_0", "q8_0"])
        self.assertEqual(cells.formats_for(cells.Cell("decode", 8192, False), done, models), list(models))
        self.assertEqual(cells.formats_for(cells.Cell("decode", 1024, True), done, models), list(models))

    def test_a_ratio_is_that_of_a_round(self):
        def speed(values):
            return cells.spread([{"tokens_per_s": value} for value in values])
        result = {"llama.cpp": {"a": speed([10, 20]), "b": speed([5, 40])}, "dsrasq": {"64": speed([20, 20])}}
        self.assertEqual(cells.ratios(result, 64), [2, 0.5])

    def test_cores_are_listed_as_taskset_does(self):
        self.assertEqual(turns.core_list("0,2-4"), [0, 2, 3, 4])


class Sources(unittest.TestCase):
    def test_only_what_is_built_is_packed(self):
        with tempfile.TemporaryDirectory() as folder:
            sdist, packed = pathlib.Path(folder) / "x.tar.gz", pathlib.Path(folder) / "p.tar.xz"
            names = ["CMakeLists.txt", "ggml/src/ggml.c", "ggml/src/ggml-cuda/a.cu", "ggml/src/ggml-cpu/b.c",
                     "docs/c.md", "tools/quantize/d.cpp", "tools/server/e.cpp"]
            with tarfile.open(sdist, "w:gz") as archive:
                for name in names:
                    member = tarfile.TarInfo(f"package-1/vendor/llama.cpp/{name}")
                    member.size = len(name)
                    archive.addfile(member, io.BytesIO(name.encode()))
            with self.assertRaisesRegex(llama_cpp.Failed, "SHA-256 differs"):
                llama_cpp.pack(sdist, packed)
            with mock.patch.object(llama_cpp, "SHA256", llama_cpp.sha256_of(sdist)):
                llama_cpp.pack(sdist, packed)
            sources = llama_cpp.unpack(packed, pathlib.Path(folder) / "work")
            found = sorted(str(path.relative_to(sources)) for path in sources.rglob("*") if path.is_file())
            self.assertEqual(found, sorted([names[0], names[1], names[3], names[5]]))
            self.assertEqual((sources / names[3]).read_text(), names[3])

    def test_a_file_that_is_no_record_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "r.json"
            path.write_text('{"what": "decode"}')
            with self.assertRaisesRegex(llama_cpp.Failed, "no record to go on from"):
                record.read(path)


if __name__ == "__main__":
    unittest.main()
