"""Writes tests/golden/tokenizers/trained.json: the byte-level BPE that Hugging Face `tokenizers` trains on two texts.

    python3 tools/make_golden_trained_tokenizer.py        (needs tokenizers)
"""
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXTS = ["tests/golden/models/carol.txt", "tests/golden/tokenizers/seeds.txt"]
TOKENS = 800

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(
    [(ROOT / text).read_bytes().decode() for text in TEXTS],
    trainers.BpeTrainer(vocab_size=TOKENS, special_tokens=["<|endoftext|>"], show_progress=False,
                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
out = ROOT / "tests/golden/tokenizers/trained.json"
out.write_text(tokenizer.to_str() + "\n", encoding="utf-8")
