"""Prints the CRC-32C of dequantised rows as the Python package `gguf` computes them.

The rows are made here and, in the same way, in dsrasq/kernels/packed_linear_test.cpp, which holds
the printed values. Run: python3 tools/make_dequantize_golden.py (needs numpy and gguf).
"""
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.quants import dequantize

WEIGHTS = 1024
# Type -> weights and bytes of a block, and where its halves are.
BLOCKS = {
    T.F16: (1, 2, [0]), T.BF16: (1, 2, [0]),
    T.Q4_0: (32, 18, [0]), T.Q4_1: (32, 20, [0, 2]), T.Q5_0: (32, 22, [0]),
    T.Q5_1: (32, 24, [0, 2]), T.Q8_0: (32, 34, [0]), T.Q4_K: (256, 144, [0, 2]),
    T.Q5_K: (256, 176, [0, 2]), T.Q6_K: (256, 210, [208]),
}


def make_row(weights, size, halves):
    """Bytes of a linear congruential generator; halves are kept finite."""
    count, state, data = WEIGHTS // weights, 12345, bytearray()
    for _ in range(count * size):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        data.append(state >> 24)
    for block in range(count):
        for at in halves:
            data[block * size + at + 1] &= 0xBB  # clears an exponent bit: no infinity, no NaN
    return np.frombuffer(bytes(data), np.uint8)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


for kind, (weights, size, halves) in BLOCKS.items():
    row = dequantize(make_row(weights, size, halves), kind).astype(np.float32)
    print(f"{{WeightType::k{kind.name}, 0x{crc32c((row + 0.0).tobytes()):08X}}},")
