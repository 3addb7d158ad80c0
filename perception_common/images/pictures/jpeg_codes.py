"""Reads the Huffman codes of a baseline JPEG without decoding its pixels: do the data last for all of them?"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_INVALID = 64  # coefficients that an unknown code advances by, so that its block overflows
_END_OF_BLOCK = 0x00


@dataclass(frozen=True, eq=False)
class BlockCodes:
    """The codes of a block of 8x8 coefficients. dc, ac: tables of `code_lengths`."""

    dc: np.ndarray
    ac: np.ndarray

    @cached_property
    def steps(self) -> tuple[list[int], list[int], list[int]]:
        """By the next 16 bits: bits of the first code with its value; bits of a further code; how many coefficients."""
        length, symbol = self.ac.T
        run = (symbol >> 4) + 1
        run[symbol == _END_OF_BLOCK] = 0  # ends the block
        run[length == 0] = _INVALID
        first = np.where(self.dc[:, 0] == 0, 0, self.dc.sum(axis=1))
        return first.tolist(), (length + (symbol & 15)).tolist(), run.tolist()


def code_lengths(content: bytes) -> dict[int, np.ndarray]:
    """Return the tables of a DHT segment by their class and number, each (65536, 2) int64.

    Row: the next 16 bits of the data. Columns: length of the code that begins there, 0 for none, and its symbol.
    """
    tables = {}
    position = 0
    while position < len(content):
        (number, *counts) = struct.unpack_from(">B16B", content, position)
        position += 17
        table = np.zeros((1 << 16, 2), np.int64)
        row = 0
        for bits, count in enumerate(counts, start=1):
            for symbol in content[position : position + count]:
                end = row + (1 << 16 - bits)
                table[row:end] = bits, symbol
                row = end
            position += count
        tables[number] = table
    return tables


def count_units(coded: bytes, blocks: Sequence[BlockCodes], units: int) -> tuple[int, int]:
    """Read the coded data of `units` MCUs; return how many can be read, and how many bytes are left behind the last.

    blocks: the codes of each block of an MCU. Stops at the first code that does not exist, at a block with more than 64
    coefficients, and at the end of the data.
    """
    data = coded.replace(b"\xff\x00", b"\xff")
    size = 8 * len(data)
    data += bytes(4 * 64 * len(blocks))  # a unit that runs over the end reads zeros
    steps = [each.steps for each in blocks]
    bit = 0
    for unit in range(units):
        for first, further, runs in steps:
            at = bit >> 3
            step = first[(data[at] << 16 | data[at + 1] << 8 | data[at + 2]) >> 8 - (bit & 7) & 0xFFFF]
            if not step:
                return unit, 0
            bit += step
            coefficient = 1
            while coefficient < 64:
                at = bit >> 3
                window = (data[at] << 16 | data[at + 1] << 8 | data[at + 2]) >> 8 - (bit & 7) & 0xFFFF
                bit += further[window]
                run = runs[window]
                if not run:
                    break
                coefficient += run
            if coefficient > 64:
                return unit, 0
        if bit > size:
            return unit, 0
    return units, len(data) - 4 * 64 * len(blocks) - -(-bit // 8)
