"""The forward pass of a llama2.c model, one token at a time, in numpy.

Written from the format's description: RMS norm, rotary pairs of neighbours, grouped keys and
values, SwiGLU. Shares no code with the loader under test.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
HEADER_BYTES = 28


class Llama2c:
    """Reads a ``.bin`` front to back and runs it."""

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        (self.dim, self.hidden, self.layers, self.heads, self.kv_heads, vocabulary,
         self.positions) = struct.unpack("7i", raw[:HEADER_BYTES])  # fmt: skip
        self.floats = np.frombuffer(raw[HEADER_BYTES:], dtype="<f4").astype(np.float64)
        self.at = 0
        n, d, size = self.layers, self.dim, self.dim // self.heads
        self.size = size
        self.table = self.take(abs(vocabulary), d)
        self.norm1 = self.take(n, d)
        self.q, self.k = self.take(n, d, d), self.take(n, self.kv_heads * size, d)
        self.v, self.o = self.take(n, self.kv_heads * size, d), self.take(n, d, d)
        self.norm2 = self.take(n, d)
        self.w1, self.w2 = self.take(n, self.hidden, d), self.take(n, d, self.hidden)
        self.w3 = self.take(n, self.hidden, d)
        self.norm3 = self.take(d)
        self.take(2, self.positions, size // 2)  # Cosines and sines; computed here.
        self.output = self.table if vocabulary > 0 else self.take(-vocabulary, d)
        assert self.at == len(self.floats)

    def take(self, *shape: int) -> Array:
        count = int(np.prod(shape))
        self.at += count
        return self.floats[self.at - count : self.at].reshape(shape)

    def states(self, ids: list[int]) -> Array:
        """Return the final normalised state of each token, (n, dim)."""
        past: list[tuple[list[Array], list[Array]]] = [([], []) for _ in range(self.layers)]
        return np.stack([self.token(i, at, past) for at, i in enumerate(ids)])

    def token(self, token: int, at: int, past: list[tuple[list[Array], list[Array]]]) -> Array:
        x = self.table[token].copy()
        for n, (keys, values) in enumerate(past):
            h = norm(x, self.norm1[n])
            q = self.turn(self.q[n] @ h, at).reshape(self.heads, self.size)
            keys.append(self.turn(self.k[n] @ h, at).reshape(self.kv_heads, self.size))
            values.append((self.v[n] @ h).reshape(self.kv_heads, self.size))
            heads = []
            for head in range(self.heads):
                kv = head // (self.heads // self.kv_heads)
                scores = np.array([q[head] @ k[kv] for k in keys]) / np.sqrt(self.size)
                weights = np.exp(scores - scores.max())
                weights /= weights.sum()
                heads.append(sum(w * v[kv] for w, v in zip(weights, values, strict=True)))
            x = x + self.o[n] @ np.concatenate(heads)
            h = norm(x, self.norm2[n])
            gate = self.w1[n] @ h
            x = x + self.w2[n] @ (gate / (1 + np.exp(-gate)) * (self.w3[n] @ h))
        return norm(x, self.norm3)

    def turn(self, vector: Array, at: int) -> Array:
        """Rotate each pair of neighbours by its frequency times the position."""
        turned = vector.copy()
        for i in range(0, len(vector), 2):
            angle = at / 10000.0 ** ((i % self.size) / self.size)
            a, b = vector[i], vector[i + 1]
            turned[i] = a * np.cos(angle) - b * np.sin(angle)
            turned[i + 1] = a * np.sin(angle) + b * np.cos(angle)
        return turned


def norm(x: Array, weight: Array) -> Array:
    return x / np.sqrt(np.mean(x * x) + 1e-5) * weight
