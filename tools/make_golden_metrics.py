"""Writes tests/golden/metrics: what the reference packages make of texts that are easy and hard to score.

    python3 tools/make_golden_metrics.py BOOKS.jsonl.xz

Needs rouge-score 0.1.2 (with nltk 3.10.4), rouge 1.0.1, sacrebleu 2.6.0 (with regex 2026.11.15, which knows
Unicode 18), torchmetrics 1.9.0 (SQuAD) and scikit-learn 1.9.1 (MultiRC). RULER's and BABILong's scores are no
packages: their published formulas are written out below. BOOKS has one public-domain book a record
(`text`): single paragraphs of it are stored, nothing else of others.
"""
import importlib.metadata
import json
import lzma
import math
import pathlib
import random
import re
import sys

import regex
from nltk.stem.porter import PorterStemmer
from rouge import Rouge
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU
from sklearn.metrics import f1_score
from torchmetrics.functional.text import squad as squad_module

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/metrics"
PACKAGES = {"rouge-score": "0.1.2", "nltk": "3.10.4", "rouge": "1.0.1", "sacrebleu": "2.6.0",
            "regex": "2026.11.15", "torchmetrics": "1.9.0", "scikit-learn": "1.9.1"}
TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
SQUAD = sys.modules["torchmetrics.functional.text.squad"]
SCORERS = {stem: rouge_scorer.RougeScorer(TYPES, use_stemmer=stem) for stem in (False, True)}
BLEUS = {name: BLEU(tokenize=name) for name in ("13a", "intl")}


# ---- texts -------------------------------------------------------------------------------------------
HARD = [
    "", " ", "\n", "\t \t", ".", "...", "?!", "-", "--", "\"", "' '", "$", "_", "a", "the", "The a an", "a.", ". .",
    "The cat sat on the mat.", "the Cat sat on mat", "A cat\tsat  on\u00a0a mat!", "cats sitting on mats",
    "don't", "dont", "do n't", "Don\u2019t", "The dog's bone", "rock 'n' roll", "O'Neill said: \"No!\"",
    "1,000.5", "1,000.5 km", "1000.5", "1.000,5", "In 1984, 3.5 million", "It was 2000.", "2000-2001", "3-4", "a-3", "-5",
    "1.", ".5", ",5", "5,", "1..2", "a..b", "a,.b", "x.,y", "$1.50", "50%", "#1", "C++ and C#", "a/b", "[x](y) {z}",
    "&quot;quoted&quot; &amp; more", "&amp;lt;b&amp;gt;", "&lt;b&gt;", "<skipped>word", "hyphen-\nated line",
    "two\nlines", "one\n\ntwo\n", "line one is here\nline two is there\nline three", "line three\nline two\nline one is",
    "caf\u00e9 na\u00efve r\u00e9sum\u00e9", "cafe\u0301 nai\u0308ve", "a\u0301 the\u0301 an", "Stra\u00dfe STRASSE",
    "\u0130stanbul I\u0131i", "\u212aelvin 5\u212a", "\u039f\u0394\u039f\u03a3 \u039f\u0394\u039f\u03a3.",
    "\u03bf\u03b4\u03bf\u03c2 \u03bf\u03b4\u03bf\u03c3", "\u03a3 \u03a3\u0391 \u0391\u03a3. \u0391\u03a3.\u0391",
    "\u0391\u03a3\u0301 \u0391\u03a3\u2019\u0391 \u24b6\u03a3 a\u02b0\u03a3", "\u4f60\u597d\uff0c\u4e16\u754c\u3002",
    "\u4f60\u597d \u4e16\u754c", "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060c \u0661\u0662\u0663", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e\u0964",
    "\U0001f600", "\U0001f600 \U0001f601\U0001f602", "ok \U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467 family",
    "\u2014dash\u2014and\u2013dash\u2010", "\u201cquotes\u201d \u2018and\u2019 \u00abmore\u00bb", "price: \u20ac5, \u00a36 or \u00a57",
    "x\u00b2 + y\u00b2 = z\u00b2", "\u00bd cup", "\u2160\u2161\u2162.", "3\u00d74\u22605", "\u0669.\u0669", "\u4e00\u4e8c.\u4e09", "\u3007.\u3007",
    "zero\u200bwidth", "nbsp\u00a0and\u2003em", "\u2028sep\u2029", "\x1cfile\x1dsep", "nul\x00l", "bell\x07 ding",
    "\ufeffbom", "\ufffd\ufffd", "\U0001cc00 new \U00011de0.\U00011de0 \U0001fac8", "w" * 3000, "very " * 60, "a b " * 30,
    "the the the the", "to be or not to be", "to be or not to be that is the question", "be to not or be to",
    "one", "one two", "one two three", "one two three four", "one two three four five", "five four three two one",
    "completely different words here", "nothing in common at all", "x y z", "z y x", "A.B.C.", "e.g. i.e. etc.",
    "Hello World. Hello again. ", "Hello again. Hello World", "Hello.World", " . . ", "Hello. . World.",
    "running runs ran runner easily fairly happily", "run run run run easy fair happy",
    "relational conditional rational valenci hesitanci digitizer", "skies dying lying news innings proceed",
    "yyyy syzygy toy boy 100s 3rd 1990s abc123", "generalizations oscillators hopefulness", "ing ed eed ied bled feed agreed",
]
HARD_BYTES = [b"\xff", b"ok \xffend", b"\xe2\x82", b"caf\xc3\xa9 caf\xc3", b"\xed\xa0\x80 surrogate", b"\xf0\x9f\x98 cut",
              b"\xc0\xaf over", b"a\x80\x80b. the\xfe", b"\xf4\x90\x80\x80 beyond", b"don\xe2\x80t \xe2\x80\x94 x"]
GERMAN = ["Der schnelle braune Fuchs springt \u00fcber den faulen Hund.", "Ein brauner Fuchs sprang \u00fcber den Hund, der faul war.",
          "Er sagte: \u201eDas kostet 1.000,50 \u20ac\u201c \u2013 und ging.", "Er hat gesagt, das koste 1.000,50 \u20ac, und er ging."]
FRENCH = ["L\u2019\u00e9t\u00e9 dernier, nous sommes all\u00e9s \u00e0 la mer.", "L'\u00e9t\u00e9 dernier nous \u00e9tions \u00e0 la mer !",
          "Qu'est-ce que c'est ? C'est l'\u0153uvre de No\u00ebl.", "Qu\u2019est-ce ? Une \u0153uvre de No\u00ebl."]


def sentences_of(path, count, rng):
    paragraphs = []
    for line in lzma.open(path, "rt", encoding="utf-8"):
        for part in re.split(r"\n\s*\n", json.loads(line)["text"]):
            part = " ".join(part.split())
            if 150 < len(part) < 420 and part.isprintable() and "|" not in part:
                paragraphs.append(re.split(r"(?<=[.!?]) ", part))
    return rng.sample([p for p in paragraphs if len(p) > 1], count)


def words_of(path, count, rng):
    words = set()
    for line in lzma.open(path, "rt", encoding="utf-8"):
        words.update(re.findall(r"[a-z0-9]+", json.loads(line)["text"].lower()))
    return sorted(rng.sample(sorted(w for w in words if len(w) < 25), count))


def changed(sentences, rng):
    """A prediction that shares much, some or little with the sentences."""
    kind = rng.randrange(8)
    words = " ".join(sentences).split()
    if kind == 0:
        return "\n".join(rng.sample(sentences, len(sentences)))
    if kind == 1:
        return "\n".join(sentences[1:] or sentences)
    if kind == 2:
        return " ".join(w for w in words if rng.random() < 0.7)
    if kind == 3:
        return " ".join(rng.sample(words, len(words)))
    if kind == 4:
        return " ".join(words[: rng.randrange(1, 8)])
    if kind == 5:
        return "\n".join(s.upper() if rng.random() < 0.5 else s.replace(",", " -") for s in sentences)
    if kind == 6:
        return " ".join(w + rng.choice(["s", "ed", "ing", "", "ly", "."]) for w in words[:40])
    return " ".join(rng.choice(words) for _ in range(30))


# ---- scores ------------------------------------------------------------------------------------------
def rounded(values):
    return [round(float(v), 9) for v in values]


def squad(prediction, references):
    normal = SQUAD._normalize_text
    em = max(float(SQUAD._compute_exact_match_score(prediction, r)) for r in references)
    # SQuAD 1.1, unlike 2.0, finds nothing in common in two empty answers.
    f1 = max(float(SQUAD._compute_f1_score(prediction, r)) if normal(prediction) and normal(r) else 0.0
             for r in references)
    return rounded([em, f1])


def rouge(prediction, references, stem):
    scores = SCORERS[stem].score_multi(references, prediction)
    return rounded(v for name in TYPES for v in scores[name])


def longbench(prediction, references):
    def one(reference):
        try:
            return Rouge().get_scores([prediction], [reference], avg=True)["rouge-l"]["f"]
        except ValueError:
            return 0.0
    return round(max(map(one, references)), 9)


def bleu_of(score):
    return rounded([score.score, *score.precisions, score.bp])


def ruler(prediction, references):
    """scripts/eval/evaluate.py (control characters) and synthetic/constants.py of NVIDIA/RULER, one sample."""
    prediction = re.sub(r"[\x00-\x1f]", "\n", prediction.strip()).strip().lower()
    found = [r.lower() in prediction for r in references]
    return rounded([sum(found) / len(found), max(found)])


def babi(output, target, question, labels):
    """babilong/metrics.py of booydar/babilong, the version with targets of several labels."""
    output = output.lower().split(".")[0].split("<context>")[0].split("<example>")[0]
    labels, target = {x.lower() for x in labels}, target.lower()
    found = {x for x in labels if x in output} - {x for x in labels if x in question.lower()}
    if "," in target and len(target) > 3:
        parts = target.split(",")
        return all(p in found for p in parts) and len(found) == len(parts)
    return target in found and len(found) == 1


def scored(prediction, references):
    raw = not isinstance(prediction, str)
    text = prediction.decode(errors="replace") if raw else prediction
    case = {"prediction_hex": prediction.hex()} if raw else {"prediction": prediction}
    case["references"] = references
    case["normalized"] = SQUAD._normalize_text(text)
    case["squad"] = squad(text, references)
    case["rouge"] = rouge(text, references, False)
    case["rouge_stem"] = rouge(text, references, True)
    case["longbench"] = longbench(text, references)
    for name, metric in BLEUS.items():
        case["bleu_" + name] = bleu_of(metric.corpus_score([text], [[r] for r in references]))
        case["tokens_" + name] = metric.tokenizer(text.rstrip())
    case["ruler"] = ruler(text, references)
    if len(text) > 150:  # long ones are compared by their scores alone
        for key in ("normalized", "tokens_13a", "tokens_intl"):
            del case[key]
    return case


def pairs(books, rng):
    for sentences in sentences_of(books, 90, rng):
        references = ["\n".join(sentences)]
        if rng.random() < 0.3:
            references.append(changed(sentences, rng))
        yield changed(sentences, rng), references
    for at, text in enumerate(HARD):
        yield text, [text if at % 5 == 0 else HARD[(at + 1) % len(HARD)]]
        if at % 3 == 0:
            yield text, [rng.choice(HARD), rng.choice(HARD), HARD[at - 1]]
    for raw in HARD_BYTES:
        yield raw, [raw.decode(errors="replace"), "ok end"]
        yield raw, ["caf\u00e9 don't surrogate cut"]
    for texts in (GERMAN, FRENCH):
        for at in range(0, len(texts), 2):
            yield texts[at], [texts[at + 1]]
            yield texts[at + 1], [texts[at], texts[at - 1]]


def corpora(cases):
    """BLEU of stretches of the cases, where the statistics of many samples add up."""
    texts = [(bytes.fromhex(c["prediction_hex"]).decode(errors="replace") if "prediction_hex" in c else c["prediction"])
             for c in cases]
    for begin, end in [(0, 90), (0, len(cases)), (90, 150), (len(cases) - 30, len(cases)), (100, 104)]:
        most = max(len(c["references"]) for c in cases[begin:end])
        streams = [[c["references"][i] if i < len(c["references"]) else None for c in cases[begin:end]]
                   for i in range(most)]
        yield {"begin": begin, "end": end,
               **{name: bleu_of(metric.corpus_score(texts[begin:end], streams)) for name, metric in BLEUS.items()}}


def babi_cases(rng):
    rooms = ["bathroom", "bedroom", "garden", "hallway", "kitchen", "office"]
    things = ["apple", "football", "milk", "nothing"]
    ways = ["e,e", "e,n", "e,s", "n,e", "n,n", "n,w", "s,e", "s,s", "s,w", "w,n", "w,s", "w,w"]
    numbers, people = ["none", "one", "three", "two"], ["Bill", "Fred", "Jeff", "Mary", "apple", "football", "milk"]
    fixed = [(1, "The garden.", "garden", "Where is Mary?"), (1, "Garden. Or kitchen.", "garden", "Where is Mary?"),
             (1, "garden or kitchen", "garden", "Where?"), (1, "KITCHEN<example> garden", "kitchen", "Where?"),
             (2, "the office, not the garden", "office", "Where was it before the garden?"), (1, "", "garden", "Where?"),
             (1, "gardener", "garden", ""), (5, "Fred gave it", "Fred", "What did Bill give?"), (5, "bill", "Bill", "Bill?"),
             (7, "none", "none", "How many?"), (7, "one", "one", "How many?"), (8, "milk,apple", "apple,milk", "What?"),
             (8, "milk", "apple,milk", "What?"), (8, "milk and apple", "milk", "What?"), (8, "apple", "apple,apple", "What?"),
             (19, "n,e", "n,e", "How?"), (19, "n,e,e", "n,e", "How?"), (1, "garden<context>kitchen", "garden", "Where?"),
             (1, "it is Question: garden", "garden", "Where?"), (1, ".garden", "garden", "Where?")]
    for _ in range(60):
        task, labels = rng.choice([(1, rooms), (8, things), (19, ways), (7, numbers), (5, people)])
        said = rng.choice([", ", " and ", ",", ". "]).join(rng.sample(labels, rng.randrange(1, 4)))
        target = ",".join(rng.sample(labels, rng.choice([1, 1, 1, 2])))
        fixed.append((task, said, target, "Where is the " + rng.choice(labels + ["John"] * 6) + "?"))
    all_labels = {1: rooms, 2: rooms, 5: people, 7: numbers, 8: things, 19: ways}
    for task, output, target, question in fixed:
        yield {"task": task, "output": output, "target": target, "question": question,
               "correct": babi(output, target, question, all_labels[task])}


def multirc_cases(rng):
    for size in (1, 2, 5, 40, 40, 40):
        questions, gold, chosen, exact = [], [], [], 0
        for _ in range(size):
            n = rng.randrange(2, 8)
            right = [rng.random() < 0.4 for _ in range(n)]
            said = [r if rng.random() < 0.85 else not r for r in right]
            gold, chosen, exact = gold + right, chosen + said, exact + (right == said)
            questions.append({"right": [str(i) for i in range(n) if right[i]], "chosen": [str(i) for i in range(n) if said[i]]})
        yield {"questions": questions, "f1a": round(float(f1_score(gold, chosen, zero_division=0.0)), 9), "em": round(exact / size, 9)}


def class_ranges():
    def value(number):
        character = chr(number)
        return next((c for c in "NPS" if regex.match(r"\p{%s}" % c, character)), None)
    first, kind = 0, None
    for number in [n for n in range(0x110001) if not 0xD800 <= n < 0xE000]:
        now = value(number) if number < 0x110000 else None
        if now != kind:
            if kind:
                yield f"{first:X} {last:X} {kind}"
            first, kind = number, now
        last = number


def lines_of_json(rows):
    return "[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]"


def main(books):
    for name, version in PACKAGES.items():
        if importlib.metadata.version(name) != version:
            print(f"note: {name} is {importlib.metadata.version(name)}, the stored file was made with {version}")
    sys.setrecursionlimit(100000)  # `rouge` recurses once a word
    rng = random.Random(7)
    OUT.mkdir(parents=True, exist_ok=True)
    cases = [scored(*pair) for pair in pairs(books, rng)]
    (OUT / "pairs.json").write_text(lines_of_json(cases) + "\n")
    (OUT / "corpora.json").write_text(lines_of_json(corpora(cases)) + "\n")
    (OUT / "babi.json").write_text(lines_of_json(babi_cases(rng)) + "\n")
    (OUT / "multirc.json").write_text(lines_of_json(multirc_cases(rng)) + "\n")
    stemmer = PorterStemmer()
    made = ["sky", "y", "yy", "yyyed", "aied", "ies", "sses", "s", "ing", "ed", "alli", "logi", "ogi", "ion", "bli", "fulli",
            "succeed", "9ing", "a9ed", "1990s", "ability", "rally", "really", "roll", "controll", "theology", "e", "ee", "ll"]
    words = made + words_of(books, 3000, rng)
    (OUT / "stems.txt").write_text("".join(f"{word} {stemmer.stem(word)}\n" for word in words))
    (OUT / "intl_classes.txt").write_text("".join(line + "\n" for line in class_ranges()))
    assert all(math.isfinite(v) for c in cases for v in c["rouge"])
    print(len(cases), "pairs,", sum(f.stat().st_size for f in OUT.iterdir()), "bytes")


main(sys.argv[1])
