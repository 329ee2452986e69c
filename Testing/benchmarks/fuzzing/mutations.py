"""Changes of bytes, drawn from a seed: those that wear, cut copies and people who mean no good make."""

from __future__ import annotations

import random
import re

_BAD_NUMBERS = [
    b"0", b"-1", b"1", b"2", b"255", b"256", b"-32768", b"65536", b"2147483648", b"4294967296", b"9223372036854775808",
    b"-9223372036854775808", b"1e30", b"1e-30", b"1e400", b"nan", b"inf", b"-inf", b"", b"x", b"0x10", b"1" * 400,
]  # fmt: skip
_BAD_WORDS = [
    b"",
    b"\0",
    b"\xff\xfe",
    b"../../x",
    b"/dev/zero",
    b"{" * 3000,
    b"[" * 3000,
    b'"',
    b"%s%n",
    b"\n\n",
    b"a" * 4000,
]
_HEAD = 600


def mutated(content: bytes, draw: random.Random) -> bytes:
    """The content after one to four changes, most of them where a header is."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        content = draw.choice(_CHANGES)(content, draw)
    return content


def _place(content: bytes, draw: random.Random) -> int:
    """A place in the content, as often as not near its start."""
    end = len(content) if draw.random() < 0.4 else min(len(content), _HEAD)
    return draw.randrange(end) if end else 0


def _flip(content: bytes, draw: random.Random) -> bytes:
    if not content:
        return content
    at = _place(content, draw)
    return content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]


def _overwrite(content: bytes, draw: random.Random) -> bytes:
    at = _place(content, draw)
    extremes = [
        b"\0" * 4,
        b"\xff" * 4,
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\x7f",
        b"\0\0\0\x80",
        b"\0\0\xc0\x7f",
        b"\x01",
    ]
    new = draw.choice([*extremes, draw.randbytes(draw.randint(1, 8))])
    return content[:at] + new + content[at + len(new) :]


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: _place(content, draw)]


def _insert(content: bytes, draw: random.Random) -> bytes:
    at = _place(content, draw)
    return content[:at] + draw.choice([draw.randbytes(draw.randint(1, 64)), draw.choice(_BAD_WORDS)]) + content[at:]


def _remove(content: bytes, draw: random.Random) -> bytes:
    at = _place(content, draw)
    return content[:at] + content[at + draw.choice((1, 2, 4, 16, 512)) :]


def _repeat(content: bytes, draw: random.Random) -> bytes:
    at, length = _place(content, draw), draw.choice((1, 4, 32, 256))
    return content[:at] + content[at : at + length] * draw.choice((2, 3)) + content[at + length :]


def _append(content: bytes, draw: random.Random) -> bytes:
    return content + draw.choice([b"\0" * 100, draw.randbytes(50), content[-64:]])


def _number(content: bytes, draw: random.Random) -> bytes:
    """Another number in the place of one that is written in digits."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content[: 4 * _HEAD]))
    if not found:
        return _overwrite(content, draw)
    match = draw.choice(found)
    return content[: match.start()] + draw.choice(_BAD_NUMBERS) + content[match.end() :]


def _line(content: bytes, draw: random.Random) -> bytes:
    """A line of the header left out, written twice or moved."""
    head, tail = content[: 2 * _HEAD], content[2 * _HEAD :]
    lines = head.split(b"\n")
    if len(lines) < 3:
        return _remove(content, draw)
    at, kind = draw.randrange(len(lines) - 1), draw.randrange(3)
    line = lines.pop(at)
    if kind == 1:
        lines[at:at] = [line, line]
    elif kind == 2:
        lines.insert(draw.randrange(len(lines)), line)
    return b"\n".join(lines) + tail


_CHANGES = (_flip, _flip, _overwrite, _overwrite, _cut, _insert, _remove, _repeat, _append, _number, _number, _line)
