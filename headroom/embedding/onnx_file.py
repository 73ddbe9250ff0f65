"""Writes the few parts of an ONNX file that a graph of ours needs, in protobuf's wire format.

https://protobuf.dev/programming-guides/encoding/ and onnx.proto of https://github.com/onnx/onnx. The package onnx does
this too, but weighs 18 MB; tests read what this writes with it.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

FLOAT, INT64 = 1, 7
IR_VERSION, OPSET = 9, 20
Attribute = int | float | Sequence[int]


@dataclass(slots=True)
class Graph:
    """Nodes in order; ``add`` returns the name of what a node makes."""

    nodes: list[bytes] = field(default_factory=list)
    tensors: list[bytes] = field(default_factory=list)

    def add(self, kind: str, inputs: Iterable[str], **attributes: Attribute) -> str:
        """A node with one output. Attributes: int, float, or a list of ints."""
        name = f"{kind}_{len(self.nodes)}"
        body = b"".join(_text(1, each) for each in inputs) + _text(2, name) + _text(3, name) + _text(4, kind)
        body += b"".join(_bytes(5, _attribute(key, value)) for key, value in attributes.items())
        self.nodes.append(body)
        return name

    def ints(self, name: str, values: Sequence[int], scalar: bool = False) -> str:
        """A constant of whole numbers."""
        dims = b"" if scalar else _int(1, len(values))
        raw = b"".join(struct.pack("<q", value) for value in values)
        self.tensors.append(dims + _int(2, INT64) + _text(8, name) + _bytes(9, raw))
        return name

    def number(self, name: str, value: float) -> str:
        """A constant number."""
        self.tensors.append(_int(2, FLOAT) + _text(8, name) + _bytes(9, struct.pack("<f", value)))
        return name

    def weight(self, name: str, shape: Sequence[int], file: str, offset: int, length: int) -> str:
        """Floats that stand in another file, at byte ``offset``."""
        entries = {"location": file, "offset": str(offset), "length": str(length)}
        body = b"".join(_int(1, size) for size in shape) + _int(2, FLOAT) + _text(8, name)
        body += b"".join(_bytes(13, _text(1, key) + _text(2, value)) for key, value in entries.items())
        self.tensors.append(body + _int(14, 1))
        return name

    def model(self, inputs: Sequence[str], output: str) -> bytes:
        """The file. ``inputs`` are whole numbers by batch and token, ``output`` floats by batch and dimension."""
        graph = b"".join(_bytes(1, node) for node in self.nodes) + _text(2, "headroom")
        graph += b"".join(_bytes(5, tensor) for tensor in self.tensors)
        graph += b"".join(_bytes(11, _value(name, INT64, ("batch", "tokens"))) for name in inputs)
        graph += _bytes(12, _value(output, FLOAT, ("batch", "dimensions")))
        return _int(1, IR_VERSION) + _text(2, "headroom") + _bytes(7, graph) + _bytes(8, _text(1, "") + _int(2, OPSET))


def _value(name: str, kind: int, dims: Sequence[str]) -> bytes:
    shape = b"".join(_bytes(1, _text(2, dim)) for dim in dims)
    return _text(1, name) + _bytes(2, _bytes(1, _int(1, kind) + _bytes(2, shape)))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + b"\x15" + struct.pack("<f", value) + _int(20, 1)
    if isinstance(value, int):
        return _text(1, name) + _int(3, value) + _int(20, 2)
    return _text(1, name) + b"".join(_int(8, each) for each in value) + _int(20, 7)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def _int(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())
