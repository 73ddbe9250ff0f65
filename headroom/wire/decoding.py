"""Content-encoded bytes become plain ones, chunk by chunk: gzip, deflate, br and zstd."""

import zlib
from collections.abc import Callable

Decode = Callable[[bytes], bytes]
LIMIT = 16 << 20
"""Bytes that one chunk may become; beyond that it is a bomb and not an answer."""


class UndecodableError(ValueError):
    """The bytes are not what the header said, or become far too many."""


def decoder(content_encoding: str) -> Decode | None:
    """A function to give the chunks of one message to; None when the message is not encoded.

    The function gives back all that can be decoded so far, so that a streaming answer is read as it comes, and
    raises UndecodableError. Raises UndecodableError for an encoding that is not known.
    """
    steps: list[Decode] = []
    for name in reversed(content_encoding.lower().split(",")):  # the last one was applied last
        match name.strip():
            case "" | "identity":
                pass
            case "gzip" | "x-gzip":
                steps.append(_Zlib(zlib.MAX_WBITS + 16))
            case "deflate":
                steps.append(_Zlib(None))
            case "br":
                steps.append(_brotli())
            case "zstd":
                steps.append(_zstd())
            case unknown:
                raise UndecodableError(f"content-encoding {unknown!r} is not known")
    if not steps:
        return None

    def decode(chunk: bytes) -> bytes:
        for step in steps:
            chunk = step(chunk)
        return chunk

    return decode if len(steps) > 1 else steps[0]


class _Zlib:
    """gzip, several members after one another included, and both things that servers call deflate."""

    def __init__(self, window_bits: int | None) -> None:
        self._bits = window_bits
        self._inflate = None if window_bits is None else zlib.decompressobj(window_bits)
        self._head = b""

    def __call__(self, chunk: bytes) -> bytes:
        if self._inflate is None:
            self._head += chunk
            if len(self._head) < 2:
                return b""
            chunk, self._head = self._head, b""
            # RFC 1950: a zlib header names the method and is a multiple of 31; without one it is a bare stream
            with_header = chunk[0] & 0x0F == 8 and int.from_bytes(chunk[:2]) % 31 == 0
            self._bits = zlib.MAX_WBITS if with_header else -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(self._bits)
        assert self._bits is not None
        out = b""
        try:
            while chunk:
                if self._inflate.eof:
                    if self._bits != zlib.MAX_WBITS + 16:
                        break
                    self._inflate = zlib.decompressobj(self._bits)
                out += self._inflate.decompress(chunk, LIMIT - len(out) + 1)
                if len(out) > LIMIT:
                    raise UndecodableError(f"a chunk becomes more than {LIMIT} bytes")
                chunk = self._inflate.unused_data
        except zlib.error as error:
            raise UndecodableError(str(error)) from error
        return out


def _brotli() -> Decode:
    import brotli  # type: ignore[import-untyped]

    stream = brotli.Decompressor()

    def decode(chunk: bytes) -> bytes:
        try:
            out: bytes = stream.process(chunk, output_buffer_limit=LIMIT)
            if not stream.can_accept_more_data():
                raise UndecodableError(f"a chunk becomes more than {LIMIT} bytes")
        except brotli.error as error:
            raise UndecodableError(str(error)) from error
        return out

    return decode


class _Sink(bytearray):
    def write(self, data: bytes) -> int:
        if len(self) + len(data) > LIMIT:
            raise UndecodableError(f"a chunk becomes more than {LIMIT} bytes")
        self.extend(data)
        return len(data)


def _zstd() -> Decode:
    import zstandard

    sink = _Sink()
    stream = zstandard.ZstdDecompressor().stream_writer(sink)  # type: ignore[arg-type]  # it only calls write()

    def decode(chunk: bytes) -> bytes:
        try:
            stream.write(chunk)
        except zstandard.ZstdError as error:
            raise UndecodableError(str(error)) from error
        out = bytes(sink)
        sink.clear()
        return out

    return decode
