"""Writes tests/golden/tokenizers: small tokenizers and what Hugging Face `tokenizers` makes of 1 MB of text.

    python3 tools/make_golden_tokenizers.py [NAME...]        (needs tokenizers, transformers, gguf)

With names, only these are made again. Training breaks ties at random, so the small ones differ each time.

The text is not stored: dsrasq/text/golden_text.h makes the same from seeds.txt. Each line of expected.txt:
    name chunk n_ids hash_of_ids n_ids_parsed hash_of_ids_parsed hash_of_decoded hash_of_decoded_with_special
`parsed`: special tokens in the text are tokens; without it their text is ordinary text
(`encode_special_tokens` in `tokenizers`). Chunk -1 is the whole text at once.

Gemma's GGUF holds scores but no merges. Its reference gets the merges as transformers makes them from a
SentencePiece model (generate_merges), with two repairs: user-defined pieces, whose score the GGUF converter
overwrites with -1000, get SentencePiece's 0 again, and control tokens and bytes do not take part in merges.
"""
import json
import os
import pathlib
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import gguf  # noqa: E402
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers  # noqa: E402
from tokenizers import pre_tokenizers, processors, trainers  # noqa: E402
from transformers.tokenization_utils_base import generate_merges  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "tests/golden/tokenizers"
MASK = (1 << 64) - 1
N_CHUNKS, CHUNK_BYTES = 64, 16384
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + REST
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + REST
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
          r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

NAMES = ["gpt2", "smollm", "llama3", "qwen2", "tekken", "gemma", "llama2", "odd", "drops",
         "smollm2-135m", "gemma-3-270m"]

# ---- the text; the same in dsrasq/text/golden_text.h -------------------------------------------------
RANGES = [(0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xBFF), (0xE00, 0xE7F),
          (0x1100, 0x11FF), (0x2000, 0x206F), (0x2070, 0x218F), (0x2190, 0x27BF), (0x3000, 0x30FF),
          (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFB00, 0xFDFF), (0xFE00, 0xFFEF), (0x1F300, 0x1FAFF),
          (0x1D400, 0x1D7FF), (0x00, 0x1F), (0x80, 0x9F), (0xE0000, 0xE007F), (0xE000, 0xF8FF)]
SPACES = [" ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2003", "\u0085", "\u180e", "\u200b"]
TAILS = ["'s", "'S", "'t", "'re", "'RE", "'Ve", "'m", "'ll", "'lL", "'D", "'\u017f", "'", "'x", "''s"]
SPECIALS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>", "<bos>", "<eos>",
            "<unk>", "<s>", "</s>", "<start_of_turn>", "<h1>", "</h1>", "<table>", "\u2581", "\u2581\u2581", "<0x41>",
            "<mask>", " <mask> ", "  <left>  ", "  <right>  ", "<whole>", "a<whole>", "<whole> b", "NorM\u00c9", "\t\t",
            "<|im_", "<<bos>>"]


class Rng:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % n

    def one_of(self, items):
        return items[self.below(len(items))]


def make_piece(rng, seeds):
    kind = rng.below(16)
    if kind < 6:
        return rng.one_of(seeds)
    if kind == 6:  # cut anywhere, also inside a character
        seed = rng.one_of(seeds)
        begin = rng.below(len(seed))
        return seed[begin:begin + 1 + rng.below(len(seed) - begin)]
    if kind == 7:
        first, last = rng.one_of(RANGES)
        return "".join(chr(first + rng.below(last - first + 1)) for _ in range(1 + rng.below(20))).encode()
    if kind == 8:
        return bytes(48 + rng.below(10) for _ in range(1 + rng.below(12)))
    if kind == 9:
        space = rng.one_of(SPACES).encode()
        return space * (1 + rng.below(40))
    if kind == 10:
        return rng.one_of(SPACES).encode() + rng.one_of(SPACES).encode()
    if kind == 11:
        base = chr(97 + rng.below(26))
        return (base + "".join(chr(0x300 + rng.below(0x70)) for _ in range(1 + rng.below(4)))).encode()
    if kind == 12:
        return bytes(rng.below(256) for _ in range(1 + rng.below(6)))
    if kind == 13:
        letters = 1 + rng.below(26)
        return bytes(97 + rng.below(letters) for _ in range(1 + rng.below(600)))
    if kind == 14:
        word = bytes(97 + rng.below(26) for _ in range(rng.below(5)))
        return word + rng.one_of(TAILS).encode()
    return rng.one_of(SPECIALS).encode()


def make_chunk(seed, seeds):
    rng = Rng(seed)
    text = b""
    while len(text) < CHUNK_BYTES:
        text += make_piece(rng, seeds)
        glue = rng.below(8)
        text += b" " if glue < 4 else b"\n" if glue == 4 else b""
    return text


# ---- small tokenizers --------------------------------------------------------------------------------
def train(pre_tokenizer, texts, vocab_size=1000, byte_level=True, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet()) if byte_level else []
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, limit_alphabet=400, show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def byte_level(texts, split, special, normalizer=None, **options):
    steps = [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    if not split:
        steps = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    pre = pre_tokenizers.Sequence(steps) if split else steps[0]
    vocab, merges = train(pre, texts, normalizer=normalizer)
    if options.get("ignore_merges"):
        vocab["\u0120ledgers"] = len(vocab)  # a token that no merge makes
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, **options))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre, decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    return tokenizer


def make_gpt2(texts):
    return byte_level(texts, None, ["<|endoftext|>"])


def make_smollm(texts):
    pre = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                   pre_tokenizers.ByteLevel(add_prefix_space=False)])
    vocab, merges = train(pre, texts)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre, decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return tokenizer


def make_llama3(texts):
    tokenizer = byte_level(texts, pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
                           ["<|begin_of_text|>", "<|eot_id|>"], ignore_merges=True)
    bos = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", bos)])])
    return tokenizer


def make_qwen2(texts):
    return byte_level(texts, pre_tokenizers.Split(Regex(QWEN2), "isolated"),
                      ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], normalizer=normalizers.NFC())


def make_tekken(texts):
    return byte_level(texts, pre_tokenizers.Split(Regex(TEKKEN), "isolated"), ["<s>", "</s>"], ignore_merges=True)


def sentence_pieces(texts, control, user_defined):
    """[(text, type, score)] as a SentencePiece model has them, by id."""
    learned, _ = train(pre_tokenizers.Metaspace(), texts, 1200, byte_level=False)
    pieces = [(text, UNKNOWN if text == "<unk>" else CONTROL, 0.0) for text in control]
    pieces += [(text, USER_DEFINED, 0.0) for text in user_defined]
    pieces += [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]
    known = {text for text, _, _ in pieces}
    words = sorted((text for text in learned if text not in known), key=lambda text: (len(text) == 1, learned[text]))
    words += [] if "\u2581" in words else ["\u2581"]
    return pieces + [(text, NORMAL, -float(rank)) for rank, text in enumerate(words)]


def sentence_piece_model(pieces):
    vocab = {text: i for i, (text, _, _) in enumerate(pieces)}
    scores = {text: score for text, _, score in pieces}
    skip = [text for text, kind, _ in pieces if kind not in (NORMAL, USER_DEFINED)]
    merges = generate_merges(vocab, scores, skip)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=kind != USER_DEFINED)
                          for text, kind, _ in pieces if kind in (CONTROL, USER_DEFINED)])
    return tokenizer


def gemma_model(pieces):
    tokenizer = sentence_piece_model(pieces)
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    bos = tokenizer.token_to_id("<bos>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", bos)])
    return tokenizer


def llama2_model(pieces):
    tokenizer = sentence_piece_model(pieces)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    return tokenizer


def make_odd(texts):
    """Flags of added tokens, a normaliser of several steps, unknown text, Metaspace."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(prepend_scheme="first"),
                                   pre_tokenizers.Split(",", "merged_with_previous"),
                                   pre_tokenizers.Digits(individual_digits=False),
                                   pre_tokenizers.Split(Regex("[.!?]+"), "contiguous")])
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(),
                                       normalizers.Replace(Regex("(?<=[a-z ])[0-9]{5,}"), "##")])
    vocab, merges = train(pre, [t[:60000] for t in texts], 700, byte_level=False, normalizer=normalizer)
    vocab["<unk>"] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False),
                          AddedToken("<left>", lstrip=True, rstrip=True, normalized=False),
                          AddedToken("<right>", rstrip=True, normalized=False),
                          AddedToken("<whole>", single_word=True, normalized=False),
                          AddedToken("norm\u00c9", normalized=True)])
    return tokenizer


def make_drops(texts):
    """Spaces removed, text that the vocabulary lacks is dropped, inverted and merged splits."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\s+"), "removed"),
                                   pre_tokenizers.Split(Regex("[a-z]+"), "merged_with_next", invert=True),
                                   pre_tokenizers.Split("=", "merged_with_next"),
                                   pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)])
    vocab, merges = train(pre, [texts[0][:4000]], 300, byte_level=False)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre
    return tokenizer


# ---- GGUF --------------------------------------------------------------------------------------------
def write_gguf(path, model, pre, tokens, types, scores=None, merges=None, ids=None, flags=None):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if scores:
        writer.add_token_scores(scores)
    if merges:
        writer.add_token_merges(merges)
    for key, value in (ids or {}).items():
        writer.add_uint32(f"tokenizer.ggml.{key}_token_id", value)
    for key, value in (flags or {}).items():
        writer.add_bool(f"tokenizer.ggml.{key}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def byte_level_gguf(path, pre, tokenizer):
    tree = json.loads(tokenizer.to_str())
    n = tokenizer.get_vocab_size()
    special = {token["id"] for token in tree["added_tokens"]}
    write_gguf(path, "gpt2", pre, [tokenizer.id_to_token(i) for i in range(n)],
               [CONTROL if i in special else NORMAL for i in range(n)],
               merges=[" ".join(pair) for pair in tree["model"]["merges"]],
               ids={"bos": min(special), "eos": max(special)})


def sentence_piece_gguf(path, pieces, prefix):
    spell = [text.replace("\u2581", " ") if kind == USER_DEFINED else text for text, kind, _ in pieces]
    scores = [-1000.0 if kind in (CONTROL, USER_DEFINED) else score for _, kind, score in pieces]
    texts = [text for text, _, _ in pieces]
    bos = next(i for i, text in enumerate(texts) if text in ("<bos>", "<s>"))
    eos = next(i for i, text in enumerate(texts) if text in ("<eos>", "</s>"))
    write_gguf(path, "llama", None, spell, [kind for _, kind, _ in pieces], scores,
               ids={"bos": bos, "eos": eos, "unknown": texts.index("<unk>")}, flags={"add_space_prefix": prefix})


# ---- models that are not in the repository -----------------------------------------------------------
def real_smollm2(path):
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(line.split(" ")) for line in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab={text: i for i, text in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([text for text, kind in zip(tokens, types) if kind == CONTROL])
    return tokenizer


def real_gemma3(path):
    fields = gguf.GGUFReader(path).fields
    columns = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "token_type", "scores"))
    pieces = [(text.replace(" ", "\u2581"), kind, 0.0) if kind == USER_DEFINED else (text, kind, score)
              for text, kind, score in zip(*columns)]
    # The id of <unk> is typed as a control token there; neither matters to merging.
    return gemma_model(pieces)


# ---- expectations ------------------------------------------------------------------------------------
def hash_of(values):
    state = 0xCBF29CE484222325
    for value in values:
        state = ((state ^ value) * 0x100000001B3) & MASK
    return f"{state:016x}"


def encode(tokenizer, text, parse_special):
    tokenizer.encode_special_tokens = not parse_special
    return tokenizer.encode(text, add_special_tokens=False).ids


def expect(name, tokenizer, chunks):
    for index, chunk in enumerate(chunks, -1):
        text = chunk.decode(errors="replace")
        plain, parsed = encode(tokenizer, text, False), encode(tokenizer, text, True)
        decoded = [tokenizer.decode(parsed, skip_special_tokens=skip).encode() for skip in (True, False)]
        yield " ".join(map(str, [name, index, len(plain), hash_of(plain), len(parsed), hash_of(parsed),
                                 hash_of(decoded[0]), hash_of(decoded[1])]))


def main():
    seeds = (OUT / "seeds.txt").read_bytes().split(b"\n%%\n")
    chunks = [make_chunk(i, seeds) for i in range(N_CHUNKS)]
    corpus = [b"".join(seeds).decode()] * 3 + [make_chunk(1000 + i, seeds).decode(errors="ignore") for i in range(20)]
    user_defined = ["\n" * n for n in range(1, 9)] + ["\u2581" * n for n in range(2, 12)]
    user_defined += ["\t", "\t\t", "<h1>", "</h1>", "<table>"]
    names = sys.argv[1:] or NAMES
    pieces = {
        "gemma": lambda: sentence_pieces(
            corpus, ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"], user_defined),
        "llama2": lambda: sentence_pieces(corpus, ["<unk>", "<s>", "</s>"], [])}
    pieces = {name: learn() for name, learn in pieces.items() if name in names}
    make = {"gpt2": lambda: make_gpt2(corpus), "smollm": lambda: make_smollm(corpus),
            "llama3": lambda: make_llama3(corpus), "qwen2": lambda: make_qwen2(corpus),
            "tekken": lambda: make_tekken(corpus), "gemma": lambda: gemma_model(pieces["gemma"]),
            "llama2": lambda: llama2_model(pieces["llama2"]), "odd": lambda: make_odd(corpus),
            "drops": lambda: make_drops(corpus),
            "smollm2-135m": lambda: real_smollm2(ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf"),
            "gemma-3-270m": lambda: real_gemma3(ROOT / "models/gemma-3-270m.Q4_K_M.gguf")}
    pre_names = {"gpt2": "gpt-2", "smollm": "smollm", "llama3": "llama-bpe", "qwen2": "qwen2", "tekken": "tekken"}
    whole = b"".join(chunks)
    old = (OUT / "expected.txt").read_text().splitlines()[1:] if sys.argv[1:] else []
    lines = [f"text {len(whole)} {hash_of(whole)}"] + [line for line in old if line.split()[0] not in names]
    for name in names:
        tokenizer = make[name]()
        if "-" not in name:  # the others are made from files that are not in the repository
            (OUT / f"{name}.json").write_text(tokenizer.to_str(), encoding="utf-8")
        if name in pre_names:
            byte_level_gguf(OUT / f"{name}.gguf", pre_names[name], tokenizer)
        lines += expect(name, tokenizer, [whole] + chunks)
        if name in pieces:
            sentence_piece_gguf(OUT / f"{name}.gguf", pieces[name], name == "llama2")
    (OUT / "expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
