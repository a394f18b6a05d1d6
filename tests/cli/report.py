"""`dsrasq report` from outside: the page and the plots hold what the result files say, and what is refused.
Standard library only.

    python3 tests/cli/report.py build/dev/bin/dsrasq [TEST...]
"""
import html.parser
import json
import os
import re
import sys
import unittest
import xml.etree.ElementTree

import run
from run import ROOT

RESULTS = sorted((ROOT / "docs/results").glob("*.json"))
SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "line", "rect", "circle", "polygon", "polyline"}


class Page(html.parser.HTMLParser):
    """As a browser sees it: every tag closed in order, and what would be loaded from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.problems, self.loads, self.ids = [], [], [], set()
        self.feed(text)
        self.close()
        self.problems += self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.loads += [value for name, value in attributes.items()
                       if name == "src" or name == "href" and not value.startswith("#")]
        self.ids.add(attributes.get("id"))
        if tag in ("script", "link", "iframe", "object", "image"):
            self.problems.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        if tag not in VOID:
            self.problems.append(f"<{tag}/>")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}>")


class Report(run.CliTest):
    def report(self, *words):
        """What the command says, and the page, which must be sound."""
        page = self.folder / "report.html"
        done = run.run("report", *words, "-o", page, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        text = page.read_text(encoding="utf-8")
        xml.etree.ElementTree.fromstring(text)
        sound = Page(text)
        self.assertEqual((sound.problems, sound.loads), ([], []))
        self.assertNotIn("url(", text)
        result = self.json_of(done)
        for figure in result["figures"]:
            self.assertIn(figure["id"], sound.ids)
        return result, text

    def assert_holds(self, page, part):
        self.assertTrue(part in page, part)  # without the page in the message

    def test_the_results_of_this_repository(self):
        plots = self.folder / "plots"
        result, page = self.report(*RESULTS, "--svg", plots, "--title", "Ours <all>")
        self.assertEqual({file["holds"] for file in result["files"]}, {"perplexity", "needle", "speed", "answers"})
        self.assert_holds(page, "<h1>Ours &lt;all&gt;</h1>")
        perplexity = json.loads((ROOT / "docs/results/perplexity.json").read_text())
        for row in perplexity["rows"]:
            self.assert_holds(page, f">{row['perplexity']:.3f}</td>")
            if "change_percent" in row:
                self.assert_holds(page, f">{row['change_percent']:+.2f} %</text>")
        for part in (">14 of 16<", ">8 of 10<", "L^1.03", ">328.3</td>", "131,072",
                     "dsrasq eval needle ", "--length 16384", "dsrasq bench prefill",
                     "python3 tools/eval_questions.py whole"):
            self.assert_holds(page, part)
        self.assert_holds(page, "No KL divergence from perplexity-joint.json and perplexity.json")
        self.assertEqual(len(result["missing"]), 2)
        files = {figure["svg"] for figure in result["figures"]}
        self.assertEqual(files, {str(path) for path in plots.iterdir()})
        for path in plots.iterdir():
            root = xml.etree.ElementTree.parse(path).getroot()
            self.assertEqual(root.tag, SVG + "svg")
            self.assertTrue(root.find(SVG + "title").text and root.find(SVG + "desc").text)

    def test_every_sample_is_in_the_heat_map(self):
        path = ROOT / "docs/results/needle-16384.json"
        result, page = self.report(path)
        cells = re.findall(r">(\d+)/(\d+)</text>", page)
        wide = cells[:len(cells) // 2]  # each plot is there for wide and for narrow screens
        self.assertEqual(wide, cells[len(cells) // 2:])
        row = json.loads(path.read_text())["rows"][0]
        self.assertEqual(sum(int(n) for _, n in wide), row["samples"])
        self.assertEqual(sum(int(found) for found, _ in wide), round(row["accuracy"] * row["samples"]))
        self.assertEqual([figure["id"] for figure in result["figures"]], ["needle-length", "needle-depth"])

    def test_names_are_data(self):
        name = '<script>alert("1")</script>&\u0001'
        row = {"policy": name, "perplexity": 3, "samples": 1, "tokens": 9, "mean_retrieved": 5, "cache_bytes": 7}
        path = self.file("a & 'b'.json", json.dumps({"length": 9, "rows": [row], "config": {"text": name}}))
        _, page = self.report(path)
        self.assert_holds(page, "a &amp; &#39;b&#39;.json")
        self.assert_holds(page, "&lt;script&gt;")

    def test_the_configuration_is_written_beside_it(self):
        self.report(RESULTS[0])
        config = json.loads((self.folder / "report.html.config.json").read_text())
        self.assertEqual(config["results"], [str(RESULTS[0])])

    def test_wrong_use(self):
        page = self.folder / "r.html"
        self.assertIn("want dsrasq report RESULT", self.refused(2, "invalid_argument", "report", "-o", page))
        self.assertIn("want -o FILE.html", self.refused(2, "invalid_argument", "report", RESULTS[0]))
        self.assertIn("is named twice", self.refused(2, "invalid_argument", "report", RESULTS[0], RESULTS[0],
                                                     "-o", page))
        self.assertFalse(page.exists())

    def test_wrong_files_name_file_and_field(self):
        page = self.folder / "r.html"
        for text, part in [("Call me Ishmael.", "not JSON at byte 1"), ("", "is empty"), ("[]", "is no JSON object"),
                           ('{"rows": [{"loss": 1}]}', "is no result that a report can show"),
                           ('{"rows": [{"perplexity": 3}], "length": 1}', 'rows[0] lacks "policy"')]:
            path = self.file("wrong.json", text)
            message = self.refused(3, "bad_input", "report", RESULTS[0], path, "-o", page)
            self.assertIn(str(path), message)
            self.assertIn(part, message)
        self.assertIn("No such file", self.refused(3, "bad_input", "report", "none.json", "-o", page))
        self.assertFalse(page.exists())

    def test_outputs_that_cannot_be_written(self):
        blocked = self.file("blocked", "")
        page = self.folder / "r.html"
        self.assertIn("none/r.html", self.refused(5, "output", "report", RESULTS[0], "-o",
                                                  self.folder / "none/r.html"))
        self.assertIn("blocked", self.refused(5, "output", "report", RESULTS[0], "-o", page, "--svg", blocked))
        self.assertFalse(page.exists())


if __name__ == "__main__":
    run.program = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
