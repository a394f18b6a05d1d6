"""Asks the ten questions of tests/questions and counts how often the evidence was found.

    python3 tools/eval_questions.py                       every way of reading
    python3 tools/eval_questions.py whole default         only these

A question counts as found when one of the three passages that `dsrasq ask` lists first overlaps the
only place of the text that answers it, and as answered when the answer has the words that a right one has. `--questions tests/questions/debian-policy-sentences.json` asks for
the second halves of sentences instead. Ways of reading the text:
    whole      a pool that holds all of it
    default    a pool of 16,384 tokens
    question   the same, keeping what the question (read first) retrieves: one read a question
    random     a pool that holds all of it, tokens retrieved at random
    recency    the same, the most recent ones
A text is read once and asked through its session file, except by `question`. Answers are kept in the folder
as they come: a run that was stopped goes on, one that ended leaves its result alone.
"""
import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEFAULT_POOL = 16384
WAYS = {
    "whole": [],
    "default": ["--pool", str(DEFAULT_POOL)],
    "question": ["--pool", str(DEFAULT_POOL), "--retention", "question"],
    "random": ["--policy", "random"],
    "recency": ["--policy", "recency"],
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ways", nargs="*", metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--dsrasq", default=ROOT / "build/release/bin/dsrasq", type=pathlib.Path)
    parser.add_argument("--questions", default=ROOT / "tests/questions/debian-policy.json", type=pathlib.Path)
    parser.add_argument("--document", type=pathlib.Path, help="made by scripts/document when not given")
    parser.add_argument("--folder", default=ROOT / ".cache/questions", type=pathlib.Path,
                        help="for session files and results")
    parser.add_argument("--keep", action="store_true", help="leave the session files, for other questions")
    parser.add_argument("--jobs", default=1, type=int, metavar="N", help="questions asked at once")
    parser.add_argument("--option", action="append", default=[], metavar="WORD",
                        help="a word to add to every command, e.g. --option=--topk=64")
    arguments = parser.parse_args()
    unknown = [way for way in arguments.ways if way not in WAYS]
    if unknown:
        parser.error(f"unknown way {unknown[0]}, want {', '.join(WAYS)}")
    arguments.ways = arguments.ways or list(WAYS)
    return arguments


def located(spec, text):
    """The questions with the byte range of their evidence, which must stand once in the text."""
    questions = spec["questions"]
    for number, entry in enumerate(questions):
        evidence = entry["evidence"].encode()
        if text.count(evidence) != 1:
            sys.exit(f"question {number}: its evidence stands {text.count(evidence)} times in the text")
        start = text.find(evidence)
        tenth = start * len(questions) // len(text)
        if spec.get("one_for_each_part") and tenth != number:
            sys.exit(f"question {number}: its evidence is in part {tenth} of the text")
        yield {**entry, "start": start, "end": start + len(evidence)}


def dsrasq(arguments, *words):
    """The JSON object that a command prints."""
    command, *rest = map(str, words)  # options first: behind "--" they would be part of the question
    command = [str(arguments.dsrasq), command, "--json", "--quiet", *arguments.option, *rest]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    lines = done.stdout.splitlines()
    if len(lines) != 1:
        sys.exit(f"{' '.join(command)}: wrote {len(lines)} lines, exit {done.returncode}")
    result = json.loads(lines[0])
    if result["status"] != "ok":
        sys.exit(f"{' '.join(command)}: {result['message']}")
    return result


def rank_of(question, passages):
    """The place of the first passage that overlaps the evidence, from 1; 0 when none does."""
    for place, passage in enumerate(passages, 1):
        if passage["start"] < question["end"] and question["start"] < passage["end"]:
            return place
    return 0


def is_right(question, answer):
    """Whether the answer has all the words wanted; None for a question that names none."""
    words = question.get("answer")
    return all(word.lower() in answer.lower() for word in words) if words else None


def ask(arguments, source, question):
    """One answer and where its evidence stands among the passages."""
    answer = dsrasq(arguments, "ask", *source, "--show-retrieved", "--", question["question"])
    return {"question": question["question"], "answer": answer["answer"],
            "right": is_right(question, answer["answer"]),
            "rank": rank_of(question, answer["passages"]), "passages": answer["passages"],
            "cache_bytes": answer["cache_bytes"]}


def ask_all(arguments, way, document, questions):
    """Calls of the program until every question has its file; their answers in order."""
    files = [arguments.folder / f"{arguments.questions.stem}.{way}.{number}.json"
             for number in range(1, len(questions) + 1)]
    session = arguments.folder / f"{way}.dsr"
    source = ["--session", session]
    wanted = [number for number, file in enumerate(files, 1) if not file.exists()]
    if way == "question":
        source = ["--context", document, *WAYS[way]]
    elif wanted and not session.exists():
        dsrasq(arguments, "digest", document, "-o", session, *WAYS[way])

    def answer(number):
        result = ask(arguments, source, questions[number - 1])
        files[number - 1].write_text(json.dumps(result), encoding="utf-8")
        place = f"passage {result['rank']}" if result["rank"] else "not found"
        right = {True: "right", False: "wrong", None: ""}[result["right"]]
        print(f"  {way:9} {number:2}  {place:10} {right:6} {result['answer'].strip()[:60]!r}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(answer, wanted))
    if not arguments.keep:
        session.unlink(missing_ok=True)
    answers = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    for file in files:
        file.unlink()
    return answers


def main():
    arguments = parse_arguments()
    spec = json.loads(arguments.questions.read_text(encoding="utf-8"))
    document = arguments.document
    if document is None:
        made = subprocess.run([ROOT / "scripts/document"], stdout=subprocess.PIPE, text=True, check=True)
        document = pathlib.Path(made.stdout.strip())
    questions = list(located(spec, (ROOT / document).read_bytes()))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for way in arguments.ways:
        start = time.monotonic()
        answers = ask_all(arguments, way, document, questions)
        found = sum(0 < answer["rank"] <= 3 for answer in answers)
        right = [answer["right"] for answer in answers]
        result = {"way": way, "found": found, "of": len(answers), "answers": answers}
        answered = ""
        if None not in right:
            result["right"] = sum(right)
            answered = f", {sum(right)} answered right"
        name = f"{arguments.questions.stem}.{way}.json"
        (arguments.folder / name).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"{way}: evidence found for {found} of {len(answers)}{answered}"
              f" ({time.monotonic() - start:.0f} s, {answers[-1]['cache_bytes'] / 2**20:.0f} MiB)", flush=True)


if __name__ == "__main__":
    main()
