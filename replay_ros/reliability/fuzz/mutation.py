"""Mutations of an input: of its bytes, and of the words and numbers in a text."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Sequence

_LARGEST = 1 << 20  # bytes of an input
_INTEGERS = (0, 1, -1, 127, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-38, 3e38, -3e38, float("nan"), float("inf"), float("-inf"))
_WORDS = (
    *(b"", b"0", b"-1", b"1", b"1e999", b"-1e999", b"nan", b"inf", b"1e-400", b"0x10", b"1_0", b"1.5", b"  ", b"\t"),
    *(str(number).encode() for number in _INTEGERS),
    *(b"9" * 400, b"9" * 5000, b"true", b"null", b"~", b"\xff", b"\x00", b"\xef\xbb\xbf", b"\r\n", "\u0661".encode()),
    *(
        b"[]",
        b"{}",
        b'""',
        b"[" * 3000,
        b'{"a":' * 500,
        b"&a [*a, *a]",
        b"!!python/object:os.system x",
        b"../../etc/passwd",
    ),
)
_WORD = re.compile(rb"[A-Za-z0-9_.+\-]+")


def mutate(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    """Return a changed copy; `corpus` gives pieces to splice in."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        data = rng.choice(_MUTATIONS)(data, corpus, rng)[:_LARGEST]  # each time, as `_repeat` makes it 21 times longer
    return data


def _flip(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite_integer(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    size = rng.choice((1, 2, 4, 8))
    if len(data) < size:
        return data
    number = rng.choice((*_INTEGERS, len(data))) % (1 << (8 * size))
    start = rng.randrange(len(data) - size + 1)
    order = rng.choice("<>")
    return data[:start] + struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size], number) + data[start + size :]


def _overwrite_float(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    form = rng.choice(("<f", "<d"))
    size = struct.calcsize(form)
    if len(data) < size:
        return data
    start = rng.randrange((len(data) - size) // 4 + 1) * 4  # CDR aligns numbers
    return data[:start] + struct.pack(form, rng.choice(_FLOATS)) + data[start + size :]


def _cut(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _remove(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[min(end, start + 64) :]


def _repeat(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[start:end] * rng.choice((1, 2, 20)) + data[end:]


def _splice(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(corpus)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _insert(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.choice(_WORDS) + data[start:]


def _replace_word(data: bytes, corpus: Sequence[bytes], rng: random.Random) -> bytes:
    words = list(_WORD.finditer(data[:20_000]))
    if not words:
        return _insert(data, corpus, rng)
    word = rng.choice(words)
    new = rng.choice((*_WORDS, rng.choice(words).group()))
    return data[: word.start()] + new + data[word.end() :]


_MUTATIONS = (
    _flip,
    _overwrite_integer,
    _overwrite_float,
    _cut,
    _remove,
    _repeat,
    _splice,
    _insert,
    _replace_word,
    _replace_word,
)
