"""Makes the files in tests/golden/models that the C++ forward pass is compared with.

    python3 tools/make_golden_models.py [--models models] [--out tests/golden/models] [NAME...]

Needs torch, transformers, tokenizers, gguf, safetensors. Two kinds of golden:
  * NAME/: a tiny random model as a Hugging Face folder, with golden.safetensors
    (`ids` [T] int32, and at `positions` [n] int64 the `logits` [n, V] fp32);
  * NAME.safetensors: what transformers makes of a real GGUF file's weights, dequantised to fp32, on
    carol.txt (the opening of "A Christmas Carol", 1843, public domain): `ids` [T] int32,
    `next_logprobs` [T-1] fp32, and at `positions` [n] int64 the best 64 next tokens,
    `top_ids` [n, 64] int32 and `top_logprobs` [n, 64] fp32.
"""
import argparse
import json
import pathlib

import gguf
import numpy
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCAB = 96
N_TOKENS = 40
N_TOKENS_SLIDING = 1100  # more than a few of the attention kernel's segments of 512

# Sizes differ from model to model, so that no two dimensions are equal by chance. The attention
# kernels want head sizes that are multiples of 16.
SMALL = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=56, num_hidden_layers=3,
             num_attention_heads=4, num_key_value_heads=2, head_dim=16,
             max_position_embeddings=2048, rms_norm_eps=1e-5, tie_word_embeddings=False,
             bos_token_id=1, eos_token_id=2, pad_token_id=0)


def default_rope(theta, **scaling):
    return dict(rope_type="default", rope_theta=theta) | scaling


# name: (config class, changes to SMALL, number type of the weights)
TINY = {
    "llama": ("LlamaConfig", dict(hidden_size=42, num_attention_heads=6, num_key_value_heads=2,
                                  rope_parameters=default_rope(1e4)), "bfloat16"),
    "llama_tied": ("LlamaConfig", dict(hidden_size=36, num_attention_heads=3, num_key_value_heads=1,
                                       tie_word_embeddings=True,
                                       rope_parameters=default_rope(1e5)), "float32"),
    "llama3_rope": ("LlamaConfig", dict(rope_parameters=default_rope(
        1e4, rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=64)), "bfloat16"),
    "linear_rope": ("LlamaConfig", dict(rope_parameters=default_rope(
        1e4, rope_type="linear", factor=2.5)), "float16"),
    "yarn": ("LlamaConfig", dict(rope_parameters=default_rope(
        1e4, rope_type="yarn", factor=4.0, original_max_position_embeddings=512)), "bfloat16"),
    "mistral": ("MistralConfig", dict(sliding_window=12, rope_parameters=default_rope(
        1e4, rope_type="linear", factor=2.0)), "bfloat16"),
    "qwen2": ("Qwen2Config", dict(head_dim=32, rope_parameters=default_rope(1e6)), "bfloat16"),
    "qwen3": ("Qwen3Config", dict(head_dim=48, tie_word_embeddings=True,
                                  rope_parameters=default_rope(1e6)), "bfloat16"),
    "gemma2": ("Gemma2Config", dict(
        num_hidden_layers=4, tie_word_embeddings=True, sliding_window=10, query_pre_attn_scalar=24,
        attn_logit_softcapping=5.0, final_logit_softcapping=6.0,
        hidden_activation="gelu_pytorch_tanh", rope_parameters=default_rope(1e4)), "bfloat16"),
    "gemma3": ("Gemma3TextConfig", dict(
        num_hidden_layers=4, num_key_value_heads=1, tie_word_embeddings=True, sliding_window=10,
        query_pre_attn_scalar=24, hidden_activation="gelu_pytorch_tanh",
        layer_types=["sliding_attention"] * 2 + ["full_attention", "sliding_attention"],
        rope_parameters=dict(full_attention=default_rope(1e6, rope_type="linear", factor=2.0),
                             sliding_attention=default_rope(1e4))), "bfloat16"),
    "gemma3_global_first": ("Gemma3TextConfig", dict(
        tie_word_embeddings=True, sliding_window=7, query_pre_attn_scalar=16,
        hidden_activation="gelu_pytorch_tanh",
        layer_types=["full_attention", "sliding_attention", "full_attention"],
        rope_parameters=dict(full_attention=default_rope(1e6),
                             sliding_attention=default_rope(1e4))), "bfloat16"),
}


# Folders whose config.json is as transformers 5 writes it; the others as most published ones are.
NEW_SPELLING = {"qwen3", "gemma3_global_first"}


def described(model, number_type):
    """The values of config.json that say something about this model."""
    general = transformers.PreTrainedConfig().to_dict()
    kept = {"model_type", "tie_word_embeddings", "bos_token_id", "eos_token_id"}
    out = {"architectures": [type(model).__name__], "torch_dtype": number_type}
    return out | {k: v for k, v in model.config.to_dict().items()
                  if k in kept or not (k in general or k.startswith("_"))}


def classic_spelling(out):
    """rope_theta and rope_scaling in the place of rope_parameters, no layer_types."""
    rope = out.pop("rope_parameters")
    if out["model_type"] == "gemma3_text":
        out["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        out["sliding_window_pattern"] = 3
        rope = rope["full_attention"]
    out["rope_theta"] = rope.pop("rope_theta")
    out["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    out.pop("layer_types", None)
    if out["model_type"] == "qwen2":  # published ones name a window that is switched off
        out |= dict(use_sliding_window=False, sliding_window=8, max_window_layers=1)
    return out


def describe(name, model, number_type):
    out = described(model, number_type)
    return out if name in NEW_SPELLING else classic_spelling(out)


def randomise(model, number_type, generator):
    """Weights large enough that attention is far from flat and every norm and bias matters, rounded
    to the type that they are stored in."""
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if "norm" in name:
            centre = 0.0 if model.config.model_type.startswith("gemma") else 1.0
            value = centre + 0.3 * noise
        elif weight.dim() == 1:
            value = 0.5 * noise
        elif "embed" in name:
            value = noise * (0.3 if model.config.tie_word_embeddings else 1.0)
        else:
            value = 1.5 * noise / weight.shape[1] ** 0.5
        weight.data.copy_(value.to(number_type))


def build(name, number_type):
    config_class, changes, _ = TINY[name]
    config = getattr(transformers, config_class)(**(SMALL | changes))
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    randomise(model, number_type, torch.Generator().manual_seed(sum(map(ord, name))))
    return model.eval()


def write_folder(folder, model, config):
    folder.mkdir(parents=True, exist_ok=True)
    tied = model.config.tie_word_embeddings
    number_type = getattr(torch, config["torch_dtype"])
    weights = {k: v.to(number_type).contiguous() for k, v in model.state_dict().items()
               if not (tied and k == "lm_head.weight")}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


@torch.no_grad()
def tiny(name, out):
    number_type = TINY[name][2]
    model = build(name, getattr(torch, number_type))
    write_folder(out / name, model, describe(name, model, number_type))
    is_sliding = getattr(model.config, "sliding_window", None) is not None
    n_tokens = N_TOKENS_SLIDING if is_sliding else N_TOKENS
    ids = torch.randint(3, VOCAB, (1, n_tokens),
                        generator=torch.Generator().manual_seed(len(name)))
    logits = model(ids).logits[0]
    positions = torch.tensor([i for i in range(n_tokens)
                              if i < N_TOKENS or i % 29 == 0 or abs(i - 520) < 16])
    save_file({"ids": ids[0].int(), "positions": positions,
               "logits": logits[positions].contiguous()},
              out / name / "golden.safetensors", metadata=versions())
    print(f"{name}: {n_tokens} tokens, logits {logits.min():.2f} to {logits.max():.2f}")


def with_tokenizer(out):
    """A tiny Llama whose tokenizer knows every byte and the merges of carol.txt."""
    text = (out / "carol.txt").read_text()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=384, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    TINY["text"] = ("LlamaConfig", dict(
        vocab_size=tokenizer.get_vocab_size(), bos_token_id=0, eos_token_id=0, pad_token_id=None,
        num_hidden_layers=2, rope_parameters=default_rope(1e4)), "bfloat16")
    model = build("text", torch.bfloat16)
    write_folder(out / "text", model, describe("text", model, "bfloat16"))
    tokenizer.save(str(out / "text/tokenizer.json"), pretty=False)
    (out / "text/tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="PreTrainedTokenizerFast", eos_token="<|endoftext|>",
        bos_token="<|endoftext|>", add_bos_token=False), indent=1) + "\n")
    print("text: vocabulary", tokenizer.get_vocab_size())


# Names of GGUF tensors and of transformers' parameters.
GGUF_NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm", "attn_norm": "input_layernorm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "token_embd": "model.embed_tokens",
    "output_norm": "model.norm", "output": "lm_head",
}
POST_NORMS = {
    "llama": {"ffn_norm": "post_attention_layernorm"},
    "gemma3": {"ffn_norm": "pre_feedforward_layernorm",
               "post_attention_norm": "post_attention_layernorm",
               "post_ffw_norm": "post_feedforward_layernorm"},
}


def gguf_config(reader):
    def value(key, default=None):
        field = reader.fields.get(f"{architecture}.{key}")
        return default if field is None else field.contents()

    architecture = reader.fields["general.architecture"].contents()
    shapes = {t.name: t.shape for t in reader.tensors}
    heads = value("attention.head_count")
    sizes = dict(
        vocab_size=int(shapes["token_embd.weight"][1]), hidden_size=value("embedding_length"),
        intermediate_size=value("feed_forward_length"), num_hidden_layers=value("block_count"),
        num_attention_heads=heads, num_key_value_heads=value("attention.head_count_kv"),
        head_dim=value("attention.key_length", value("embedding_length") // heads),
        max_position_embeddings=value("context_length"),
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"),
        tie_word_embeddings="output.weight" not in shapes)
    if architecture == "llama":
        return architecture, transformers.LlamaConfig(
            **sizes, rope_parameters=default_rope(value("rope.freq_base")))
    n_layers = sizes["num_hidden_layers"]
    return architecture, transformers.Gemma3TextConfig(
        **sizes, sliding_window=value("attention.sliding_window"),
        query_pre_attn_scalar=sizes["head_dim"],
        layer_types=["full_attention" if i % 6 == 5 else "sliding_attention"
                     for i in range(n_layers)],
        rope_parameters=dict(full_attention=default_rope(value("rope.freq_base")),
                             sliding_attention=default_rope(1e4)))


def gguf_model(path):
    reader = gguf.GGUFReader(path)
    architecture, config = gguf_config(reader)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    names = GGUF_NAMES | POST_NORMS[architecture]
    state = {}
    for tensor in reader.tensors:
        weight = gguf.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        weight = torch.from_numpy(weight.copy())
        *block, stem, _ = tensor.name.split(".")
        if architecture == "llama" and stem in heads:  # GGUF interleaves the halves that RoPE pairs
            rows, columns = weight.shape
            n = heads[stem]
            weight = weight.view(n, rows // n // 2, 2, columns).transpose(1, 2).reshape(rows, -1)
        if architecture == "gemma3" and stem.endswith("norm"):
            weight = weight - 1  # GGUF stores what transformers adds 1 to
        prefix = f"model.layers.{block[1]}." if block else ""
        state[f"{prefix}{names[stem]}.weight"] = weight
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model.float().eval()


@torch.no_grad()
def real(name, path, out, n_tokens):
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    ids = tokenizer((out / "carol.txt").read_text()).input_ids[:n_tokens]
    logprobs = gguf_model(path)(torch.tensor([ids])).logits[0].log_softmax(-1)
    ids = torch.tensor(ids)
    positions = torch.arange(0, len(ids), 29)
    top = logprobs[positions].topk(64)
    next_logprobs = logprobs[:-1].gather(1, ids[1:, None])[:, 0]
    save_file({"ids": ids.int(), "next_logprobs": next_logprobs.contiguous(),
               "positions": positions, "top_ids": top.indices.int().contiguous(),
               "top_logprobs": top.values.contiguous()},
              out / f"{name}.safetensors", metadata=versions() | {"gguf": path.name})
    print(f"{name}: {len(ids)} tokens, perplexity {next_logprobs.mean().neg().exp():.3f}")


def versions():
    return {"torch": torch.__version__, "transformers": transformers.__version__}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("models"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden/models"))
    parser.add_argument("names", nargs="*", help="which ones; all when left out")
    args = parser.parse_args()
    jobs = {name: lambda name=name: tiny(name, args.out) for name in TINY}
    jobs["text"] = lambda: with_tokenizer(args.out)
    for name, file in (("smollm2-135m", "SmolLM2-135M-Instruct.Q4_1.gguf"),
                       ("gemma-3-270m", "gemma-3-270m.Q4_K_M.gguf")):
        jobs[name] = lambda name=name, file=file: real(name, args.models / file, args.out, 700)
    for name in args.names or jobs:
        jobs[name]()


if __name__ == "__main__":
    main()
