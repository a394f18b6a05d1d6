"""Writes the golden files and fuzzing seeds of dsrasq/formats and dsrasq/checkpoint.

The oracles are the `gguf` package for weights and `transformers` for configurations; needs
`pip install gguf safetensors numpy torch transformers`. Parts that need a model of models/ are left
as they are when it is absent.
"""
import json
import pathlib
import struct

import gguf
import numpy as np
from gguf.quants import dequantize
import transformers
from safetensors.numpy import save_file
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where the half-precision scales of a block lie.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2],
          "Q5_K": [0, 2], "Q6_K": [208]}
HALF_EDGES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00]


def random_blocks(rng, name, n_blocks):
    """Random bytes, with scales that are finite and of every size, subnormal ones included."""
    kind = gguf.GGMLQuantizationType[name]
    _, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (n_blocks, block_bytes), dtype=np.uint8)
    for at in HALVES.get(name, []):
        bits = rng.integers(0, 0x7C00, n_blocks).astype(np.uint16)
        bits[0] = 0x0123
        bits |= rng.integers(0, 2, n_blocks).astype(np.uint16) << 15
        blocks[:, at:at + 2] = bits.view(np.uint8).reshape(n_blocks, 2)
    if name == "F16":
        edges = np.array(HALF_EDGES[:n_blocks], np.uint16)
        blocks[:len(edges)] = edges.view(np.uint8).reshape(-1, 2)
    return blocks


def dequantize_golden():
    rng = np.random.default_rng(7)
    tensors = {}
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        block, _ = gguf.GGML_QUANT_SIZES[kind]
        blocks = random_blocks(rng, name, max(2, 96 // block))
        values = dequantize(blocks.reshape(1, -1), kind).reshape(-1).astype(np.float32)
        if block == 1:  # plain floats: without NaNs, whose payload may change, but the quiet one
            keep = ~np.isnan(values) | (np.arange(len(values)) < len(HALF_EDGES))
            blocks, values = blocks[keep], values[keep]
        tensors[name + ".blocks"] = np.ascontiguousarray(blocks).reshape(-1)
        tensors[name + ".values"] = np.ascontiguousarray(values)
    path = GOLDEN / "dequantize.safetensors"
    save_file(tensors, path, {"oracle": "the gguf package"})
    path.chmod(0o644)


def half_split(weights, n_heads):
    """Undoes the row order that llama.cpp's converter gives q and k of llama models."""
    rows, cols = weights.shape
    d = rows // n_heads
    return weights.reshape(n_heads, d // 2, 2, cols).swapaxes(1, 2).reshape(rows, cols)


def model_rows(path, heads):
    """A few rows of one tensor of every type and role: the sum and the first weights."""
    rows, seen = [], set()
    for tensor in gguf.GGUFReader(path).tensors:
        role = tensor.name.split(".", 2)[-1] if tensor.name.startswith("blk.") else tensor.name
        if (role, tensor.tensor_type) in seen:
            continue
        seen.add((role, tensor.tensor_type))
        shape = [int(n) for n in reversed(tensor.shape)]
        matrix = dequantize(tensor.data, tensor.tensor_type).reshape(-1, shape[-1])
        for part, n_heads in heads.items():
            if role == part:
                matrix = half_split(matrix, n_heads)
        for row in sorted({0, len(matrix) // 3, len(matrix) - 1}):
            rows.append({"tensor": tensor.name, "type": tensor.tensor_type.name, "row": row,
                         "shape": [len(matrix), shape[-1]],
                         "sum": float(matrix[row].astype(np.float64).sum()),
                         "first": [float(x) for x in matrix[row][:4]]})
    return rows


def checkpoint_golden():
    path = GOLDEN / "checkpoint_rows.json"
    golden = json.loads(path.read_text()) if path.exists() else {}
    for name, heads in {
            "SmolLM2-135M-Instruct.Q4_1.gguf": {"attn_q.weight": 9, "attn_k.weight": 3},
            "gemma-3-270m.Q4_K_M.gguf": {}}.items():
        if (ROOT / "models" / name).exists():
            golden[name] = model_rows(ROOT / "models" / name, heads)
    lines = [f' {json.dumps(name)}: [\n  ' + ",\n  ".join(json.dumps(row) for row in rows) + "]"
             for name, rows in golden.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


SIZES = dict(hidden_size=96, intermediate_size=160, num_hidden_layers=7, num_attention_heads=8,
             num_key_value_heads=2, head_dim=16, vocab_size=50, max_position_embeddings=4096)
LLAMA_3 = dict(rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0,
               high_freq_factor=4.0, original_max_position_embeddings=512)
YARN = dict(rope_type="yarn", rope_theta=1e6, factor=4.0, original_max_position_embeddings=1024)
CONFIGS = {
    "llama": ("LlamaConfig", dict(tie_word_embeddings=True, rms_norm_eps=1e-5)),
    "llama3": ("LlamaConfig", dict(rope_parameters=LLAMA_3)),
    "mistral": ("MistralConfig", dict(sliding_window=128)),
    "mistral_full": ("MistralConfig", dict(sliding_window=None)),
    "qwen2": ("Qwen2Config", dict(rope_parameters=dict(rope_type="default", rope_theta=1e6))),
    "qwen2_sliding": ("Qwen2Config", dict(use_sliding_window=True, max_window_layers=5,
                                          sliding_window=64)),
    "qwen3_yarn": ("Qwen3Config", dict(rope_parameters=YARN)),
    "qwen3_yarn_mscale": ("Qwen3Config", dict(rope_parameters=dict(
        YARN, mscale=1.2, mscale_all_dim=0.7, beta_fast=20, beta_slow=2))),
    "gemma2": ("Gemma2Config", dict(query_pre_attn_scalar=144)),
    "gemma3": ("Gemma3TextConfig", dict(sliding_window=512, rope_scaling=dict(
        rope_type="linear", factor=8.0))),
}


def rope_of(config, layer_type):
    """What transformers rotates by in a kind of layer: the frequencies and the attention factor."""
    parameters = config.rope_parameters.get(layer_type, config.rope_parameters)
    if parameters["rope_type"] == "default":
        exponents = np.arange(0, config.head_dim, 2) / config.head_dim
        return (parameters["rope_theta"] ** -exponents).tolist(), 1.0
    kind = layer_type if layer_type in config.rope_parameters else None
    frequencies, factor = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](
        config, "cpu", layer_type=kind)
    return frequencies.double().tolist(), factor


def config_golden():
    golden = {}
    for name, (kind, changes) in CONFIGS.items():
        config = getattr(transformers, kind)(**{**SIZES, **changes})
        full, full_factor = rope_of(config, "full_attention")
        sliding, sliding_factor = rope_of(config, "sliding_attention")
        everywhere = "sliding_attention" if config.model_type == "mistral" else "full_attention"
        types = getattr(config, "layer_types", None) or [everywhere] * config.num_hidden_layers
        window = getattr(config, "sliding_window", None) or 0
        golden[name] = {
            "config": json.loads(config.to_json_string()),
            "full_frequencies": full, "full_factor": full_factor,
            "sliding_frequencies": sliding, "sliding_factor": sliding_factor,
            "windows": [window if kind == "sliding_attention" else 0 for kind in types]}
    lines = [f" {json.dumps(name)}: {json.dumps(entry)}" for name, entry in golden.items()]
    (GOLDEN / "hf_configs.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def chunk_file(sections):
    """The layout of dsrasq/formats/chunk_file.h, written by someone else."""
    head = b"DSRCHUNK" + struct.pack("<II", 1, 4) + b"test"
    file = head + crc32c(head)
    for name, data in sections.items():
        part = struct.pack("<I", len(name)) + name + struct.pack("<Q", len(data)) + data
        file += part + crc32c(part)
    end = struct.pack("<IQ", 0, len(sections))
    return file + end + crc32c(end)


def tiny_gguf(path, arch):
    """A model of 1 layer, E 8, F 16, H 2, Hkv 1, D 4 and 10 tokens."""
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(1)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(16)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_context_length(64)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_sliding_window(16)
    writer.add_token_list([f"t{i}" for i in range(10)])
    writer.add_token_types([1] * 10)
    shapes = {"token_embd.weight": (10, 8), "output_norm.weight": (8,)}
    for name, shape in {"attn_norm": (8,), "attn_q": (8, 8), "attn_k": (4, 8), "attn_v": (4, 8),
                        "attn_output": (8, 8), "ffn_norm": (8,), "ffn_gate": (16, 8),
                        "ffn_up": (16, 8), "ffn_down": (8, 16), "attn_q_norm": (4,),
                        "attn_k_norm": (4,), "post_attention_norm": (8,),
                        "post_ffw_norm": (8,)}.items():
        is_extra = name.startswith("post_") or name.endswith(("q_norm", "k_norm"))
        if arch == "gemma3" or not is_extra:
            shapes[f"blk.0.{name}.weight"] = shape
    for name, shape in shapes.items():
        writer.add_tensor(name, np.ones(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def mixed_gguf(path):
    writer = gguf.GGUFWriter(path, "llama")
    for kind in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"):
        getattr(writer, "add_" + kind)(kind, 1)
    writer.add_float32("f32", 0.5)
    writer.add_float64("f64", 0.5)
    writer.add_bool("bool", True)
    writer.add_array("strings", ["a", "bc"])
    writer.add_array("ints", [1, 2])
    writer.add_array("floats", [0.5])
    rng = np.random.default_rng(1)
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        writer.add_tensor(name, random_blocks(rng, name, 1), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def fuzzing_seeds():
    seeds = {name: ROOT / "tests" / "fuzz" / name
             for name in ("gguf", "safetensors", "chunk_file", "checkpoint")}
    for folder in seeds.values():
        folder.mkdir(parents=True, exist_ok=True)
    mixed_gguf(seeds["gguf"] / "mixed.gguf")
    tiny_gguf(seeds["gguf"] / "llama.gguf", "llama")
    tiny_gguf(seeds["checkpoint"] / "llama.gguf", "llama")
    tiny_gguf(seeds["checkpoint"] / "gemma3.gguf", "gemma3")
    for name, entry in json.loads((GOLDEN / "hf_configs.json").read_text()).items():
        (seeds["checkpoint"] / (name + ".json")).write_text(json.dumps(entry["config"]))
    path = seeds["safetensors"] / "two.safetensors"
    save_file({"a": np.ones((2, 3), np.float32), "b": np.ones(5, np.int8)}, path, {"key": "value"})
    path.chmod(0o644)
    (seeds["chunk_file"] / "two.dsr").write_bytes(chunk_file({b"a": b"hello", b"empty": b""}))


def session_seeds():
    """Edits as dsrasq/session/session_fuzz.cpp reads them: of which session, then section by section."""
    folder = ROOT / "tests" / "fuzz" / "session"
    folder.mkdir(parents=True, exist_ok=True)
    overwrite, merge, replace, append = range(4)
    state, sources, last_state, policy = range(4)

    def seed(name, base, *edits):
        (folder / name).write_bytes(bytes([base]) + b"".join(
            struct.pack("<BBH", section, kind, len(data)) + data for section, kind, data in edits))

    def at(offset, data):
        return struct.pack("<I", offset) + data

    dsrasq, question, random, recency, window, full = range(6)
    seed("good_dsrasq", dsrasq, (last_state, append, b""))
    seed("good_full", full, (last_state, append, b""))
    seed("options", recency, (state, merge, json.dumps(
        {"options": {"pool": 80, "window": 16, "sinks": 4, "topk": 8, "slots": 3, "retention": "score",
                     "policy": "random", "max-distance": 50}}).encode()))
    seed("position", window, (state, merge, b'{"position": 1019}'), (policy, overwrite, at(0, b"\xfb\x03")))
    seed("sampling", recency, (state, merge, json.dumps(
        {"sampling": {"temperature": 1, "top_k": 5, "top_p": 0.5, "min_p": 0.1, "repeat_penalty": 1,
                      "repeat_last_n": 3, "seed": 7}, "sampler": "dsrasq-sampler-1 1 2 3 4 1 95"}).encode()))
    seed("sources", recency, (sources, replace, json.dumps(
        [{"path": "a", "bytes": 1, "fingerprint": "", "first_token": 5, "n_tokens": 9}]).encode()))
    seed("page_count", dsrasq, (15, overwrite, at(0, b"\x0f")))
    seed("slot_folds", dsrasq, (37, overwrite, at(0, b"\x02")))
    seed("probes", question, (17, overwrite, at(0, b"\x7f")), (21, overwrite, at(0, b"\xff" * 8)))


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    dequantize_golden()
    checkpoint_golden()
    config_golden()
    fuzzing_seeds()
    session_seeds()
