"""Makes the files of `scripts/measure_comparison` that are no official file as they are.

    python3 tools/comparison_data.py DATA_FOLDER OUT_DIR

hotpot_grown.json    HotpotQA's development questions, each context grown with articles of the other questions to LENGTH
                     characters (about 7,600 tokens of SmolLM2): none has the title of an article that is there, all are shuffled
qmsum_val            QMSum's validation meetings, out of its archive; the first query of either kind of each meeting
nq_last_100.jsonl    the last questions of NQ-Open's file
"""
import json
import lzma
import os
import random
import sys
import tarfile

LENGTH = 28_000
SEED = 0


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def grown(question, articles, rng):
    """The context with other articles, in random order."""
    context = list(question["context"])
    titles = {title for title, _ in context}
    size = sum(len("".join(sentences)) for _, sentences in context)
    for title, sentences in rng.sample(articles, len(articles)):
        length = len("".join(sentences))
        if title in titles or size + length > LENGTH:
            continue
        titles.add(title)
        context.append([title, sentences])
        size += length
        if size > LENGTH - 300:
            break
    rng.shuffle(context)
    return {**question, "context": context}


def grow_hotpot(source, target):
    with lzma.open(source, "rt", encoding="utf-8") as file:
        questions = json.load(file)
    articles = list({title: [title, sentences] for question in questions
                     for title, sentences in question["context"]}.values())
    rng = random.Random(SEED)
    write(target, json.dumps([grown(question, articles, rng) for question in questions], ensure_ascii=False))


def unpack_validation(source, target):
    os.makedirs(target, exist_ok=True)
    with tarfile.open(source) as archive:
        for member in archive:
            if member.isfile() and member.name.startswith("val/"):
                meeting = json.load(archive.extractfile(member))
                for kind in ("general_query_list", "specific_query_list"):
                    meeting[kind] = meeting[kind][:1]
                write(os.path.join(target, os.path.basename(member.name)), json.dumps(meeting))


def main(data, out):
    os.makedirs(out, exist_ok=True)
    grow_hotpot(f"{data}/qa/hotpot_dev_100_distractor.json.xz", f"{out}/hotpot_grown.json")
    unpack_validation(f"{data}/summarization/qmsum_train_val.tar.xz", f"{out}/qmsum_val")
    with lzma.open(f"{data}/qa/nq_open_oracle_2000.jsonl.xz", "rt", encoding="utf-8") as file:
        write(f"{out}/nq_last_100.jsonl", "".join(file.readlines()[-100:]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
