"""What the tools make of a text: tools/make_document.py and the questions about its result."""
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WRAPPED = """Title
*****

* 1. First chapter

  * 1.1. Part

1. First chapter
****************

This paragraph was wrapped at seventy columns by the program that made
the text, and a word may have been broken at a hyphen, as in a well-
known case.

Two short lines
stay apart.

* An item of a list that goes on over the end of its line because it
  is long.

* another

   verbatim line one of an example that is wider than any wrapped line is
   verbatim line two
"""
JOINED = """Title
*****

1. First chapter
****************

This paragraph was wrapped at seventy columns by the program that made the text, and a word may have \
been broken at a hyphen, as in a well-known case.

Two short lines
stay apart.

* An item of a list that goes on over the end of its line because it is long.

* another

   verbatim line one of an example that is wider than any wrapped line is
   verbatim line two
"""


class Document(unittest.TestCase):
    def test_wrapped_lines_are_joined_and_the_contents_go(self):
        with tempfile.TemporaryDirectory() as folder:
            source, target = pathlib.Path(folder, "a.gz"), pathlib.Path(folder, "a.txt")
            source.write_bytes(gzip.compress(WRAPPED.encode()))
            subprocess.run([sys.executable, ROOT / "tools/make_document.py", source, target], check=True)
            self.assertEqual(target.read_text(encoding="utf-8"), JOINED)

    def test_there_are_ten_questions_with_evidence(self):
        spec = json.loads((ROOT / "tests/questions/debian-policy.json").read_text(encoding="utf-8"))
        self.assertEqual(len(spec["questions"]), 10)
        for entry in spec["questions"]:
            self.assertTrue(entry["question"].endswith("?"))
            self.assertGreater(len(entry["evidence"]), 20)
            self.assertNotIn(entry["question"], entry["evidence"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
