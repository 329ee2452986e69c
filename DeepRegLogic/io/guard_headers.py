"""The text headers of NRRD and MetaImage, checked against the data that they describe."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from .guard import check_packed, check_stored, disagree, require_beside

_LONGEST = 1 << 24  # bytes of a header
_MOST_BYTES = 1 << 50
_MOST_AXES = 5
_LINE = 30_000
_TEXT = 200
_FIELD = 500
_NUMBER = 40
_NRRD_VECTORS = ("space directions", "space origin", "measurement frame")
_VECTOR = r"\([-+\w.]{1,40}( *, *[-+\w.]{1,40}){0,4}\)"
_VECTORS = re.compile(rf"({_VECTOR}|none)(\s+({_VECTOR}|none))*")
"""Of a longer field, and of a vector that is none, the library makes a message longer than its memory for it."""

_NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int"), 8),
    **dict.fromkeys(("uint64", "uint64_t", "double"), 8),
    "float": 4,
}
_META_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
_META_NUMBERS = {
    "elementspacing": 1, "elementsize": 1, "offset": 1, "position": 1, "origin": 1, "centerofrotation": 1,
    "transformmatrix": 2, "rotation": 2, "orientation": 2,
}  # fmt: skip
"""How many numbers these lines have: as many as axes, or as axes squared."""


def _refused(path: Path, reason: str) -> InputError:
    return InputError(
        f"'{path}' cannot be read as an image: its header is damaged ({reason}); copy it again, or save it again."
    )


def _wholes(path: Path, key: str, text: str, least: int = 1) -> list[int]:
    """The whole numbers of a line."""
    words = text.split()
    if not words or not all(re.fullmatch(r"[+-]?\d{1,18}", word) for word in words):
        raise _refused(path, f"'{key}' is no list of whole numbers")
    numbers = [int(word) for word in words]
    if min(numbers) < least:
        raise _refused(path, f"'{key}' holds {min(numbers)}")
    return numbers


def _whole(path: Path, key: str, text: str, least: int = 1) -> int:
    numbers = _wholes(path, key, text, least)
    if len(numbers) != 1:
        raise _refused(path, f"'{key}' is not one number")
    return numbers[0]


def _need(path: Path, sizes: Sequence[int], bytes_each: int) -> int:
    need = math.prod(sizes) * bytes_each
    if need > _MOST_BYTES:
        raise _refused(path, f"it tells of {need:.2g} bytes of pixels")
    return need


# -- NRRD --------------------------------------------------------------------------------------------------------------


def check_nrrd(path: Path) -> None:
    """See ``images.check_header``."""
    with open(path, "rb") as file:
        head = file.read(_LONGEST)
    match = re.search(rb"\n\r?\n", head)
    text, start = (head[: match.start()], match.end()) if match else (head, len(head))
    lines = text.decode("latin-1").split("\n")
    if not re.fullmatch(r"NRRD000[1-5]\r?", lines[0]):
        raise _refused(path, "it is not one of NRRD")
    fields, names = _nrrd_fields(path, lines[1:])
    axes = _whole(path, "dimension", fields.get("dimension", ""))
    if axes > _MOST_AXES:
        raise InputError(f"'{path}' has {axes} axes; a cine has at most four (X, Y, Z, time).")
    sizes = _wholes(path, "sizes", fields.get("sizes", ""))
    if len(sizes) != axes:
        raise _refused(path, f"'dimension' is {axes}, but 'sizes' has {len(sizes)} numbers")
    each = _NRRD_BYTES.get(fields.get("type", "").lower())
    if each is None:
        raise _refused(path, f"it has the type {fields.get('type', '')[:40]!r}")
    need, encoding = _need(path, sizes, each), fields.get("encoding", "").lower()
    detached = fields.get("data file", fields.get("datafile"))
    files = [path]
    if detached is not None:
        files = [require_beside(path, name) for name in _nrrd_files(path, detached, names)]
        start = 0
    elif match is None:
        raise disagree(path, False)
    _check_nrrd_data(path, files, start, need, encoding, fields, math.prod(sizes))


def _nrrd_fields(path: Path, lines: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The fields, without keys and comments, and the names of data files where these are listed."""
    fields: dict[str, str] = {}
    for number, line in enumerate(lines):
        line = line.rstrip("\r")
        if line.startswith("#") or ":=" in line or not line:
            continue
        key, colon, value = line.partition(": ")
        key = key.strip().lower()
        if len(line) > _FIELD or not line.isprintable():
            raise _refused(path, f"'{line[:30]}' is too long, or no text")
        if key in _NRRD_VECTORS and not _VECTORS.fullmatch(value.strip()):
            raise _refused(path, f"'{key}' holds no vectors")
        if not colon:
            raise _refused(path, f"the line {line[:60]!r} is no field")
        if key in fields:
            raise _refused(path, f"it names '{key[:60]}' twice")
        fields[key] = value.strip()
        if key in ("data file", "datafile") and value.strip().upper().startswith("LIST"):
            return fields, [name.strip("\r") for name in lines[number + 1 :] if name.strip()]
    return fields, []


def _nrrd_files(path: Path, value: str, listed: list[str]) -> list[str]:
    if value.upper().startswith("LIST"):
        return listed
    words = value.split()
    if "%" in value and len(words) >= 4:
        first, last, step = _wholes(path, "data file", " ".join(words[1:4]), least=-(10**6))
        numbers = range(first, last + (1 if step > 0 else -1), step) if step else range(0)
        if not re.fullmatch(r"[^%]*%0?\d{0,2}d[^%]*", words[0]) or not 0 < len(numbers) <= 100_000:
            raise _refused(path, "its pattern of data files is none")
        return [words[0] % number for number in numbers]
    return [value]


def _check_nrrd_data(
    path: Path, files: list[Path], start: int, need: int, encoding: str, fields: dict[str, str], count: int
) -> None:
    skips = [fields.get(key, fields.get(key.replace(" ", ""), "0")) for key in ("line skip", "byte skip")]
    lines, skipped = (_whole(path, "skip", skip, least=-1) for skip in skips)
    if not files or need % len(files):
        raise _refused(path, "its data files do not make up its pixels")
    for file in files:
        begin = start + _after_lines(file, start, lines)
        part = need // len(files)
        if encoding == "raw":
            if skipped == -1:  # the last bytes of the file, whatever comes before
                begin = max(file.stat().st_size - part, 0)
                skipped = 0
            check_stored(path, file, begin + skipped, part)
        elif encoding in ("gz", "gzip", "bz2", "bzip2"):
            if not skipped:  # bytes skipped after unpacking are left to the library
                check_packed(path, file, begin, part, "bz2" if encoding.startswith("b") else "zlib")
        elif encoding in ("txt", "text", "ascii", "hex"):
            _check_text(path, file, begin, 2 * part if encoding == "hex" else count // len(files), encoding)
        else:
            raise _refused(path, f"it has the encoding {encoding[:40]!r}")


def _after_lines(file: Path, start: int, lines: int) -> int:
    if lines <= 0:
        return 0
    with open(file, "rb") as stream:
        stream.seek(start)
        for _ in range(min(lines, 100_000)):
            stream.readline(_LONGEST)
        return stream.tell() - start


def _check_text(path: Path, file: Path, begin: int, need: int, encoding: str) -> None:
    """As many numbers, or hexadecimal digits, as are needed; at least two bytes each, so that no more is read."""
    if file.stat().st_size - begin > 40 * need + _LONGEST:
        raise disagree(path, True)
    with open(file, "rb") as stream:
        stream.seek(begin)
        words = stream.read().split()
    have = sum(map(len, words)) if encoding == "hex" else len(words)
    if have != need:
        raise disagree(path, have > need)
    if encoding == "hex":
        plain = all(re.fullmatch(rb"[0-9a-fA-F]+", word) for word in words)
    else:
        plain = all(len(word) <= _NUMBER for word in words) and _are_numbers(words)
    if not plain:
        raise InputError(f"'{path}' has pixels that are no numbers; copy it again.")


_NO_NUMBER = ("nan", "inf", "infinity")


def _are_numbers(words: Sequence[bytes] | Sequence[str]) -> bool:
    try:
        return bool(np.isfinite(np.array(words).astype(np.float64)).all())
    except ValueError:
        return False


# -- MetaImage ---------------------------------------------------------------------------------------------------------


def check_metaimage(path: Path) -> None:
    """See ``images.check_header``. The library believes any number of axes, and a line that comes twice."""
    with open(path, "rb") as file:
        head = file.read(_LONGEST)
    fields, start = _meta_fields(path, head)
    if fields.get("objecttype", "image").lower() != "image":
        raise InputError(f"'{path}' holds no image.")
    axes = _wholes(path, "NDims", fields.get("ndims", ""))
    if len(axes) != 1 or not 2 <= axes[0] <= _MOST_AXES:
        raise _refused(path, f"'NDims' is {fields.get('ndims', '')[:20]}")
    sizes = _wholes(path, "DimSize", fields.get("dimsize", ""))
    if len(sizes) != axes[0]:
        raise _refused(path, f"'NDims' is {axes[0]}, but 'DimSize' has {len(sizes)} numbers")
    for key, power in _META_NUMBERS.items():
        words = fields.get(key, "").split()
        if key == "elementspacing" and axes[0] > 3:
            words[3:] = [
                "1" if word.lower().lstrip("+-") in _NO_NUMBER else word for word in words[3:]
            ]  # times that are not known
        if key in fields and (len(words) != axes[0] ** power or not _are_numbers(words)):
            raise _refused(path, f"'{key}' does not have {axes[0] ** power} numbers")
    channels = _whole(path, "ElementNumberOfChannels", fields.get("elementnumberofchannels", "1"))
    each = _META_BYTES.get(fields.get("elementtype", "").upper().removeprefix("MET_").removesuffix("_ARRAY"))
    if each is None:
        raise _refused(path, f"it has the type {fields.get('elementtype', '')[:40]!r}")
    _check_meta_data(path, fields, start, _need(path, (*sizes, channels), each), axes[0], math.prod(sizes) * channels)


def _meta_fields(path: Path, head: bytes) -> tuple[dict[str, str], int]:
    """The lines by their keys in lower case, and where the data begin."""
    fields: dict[str, str] = {}
    at = 0
    while True:
        end = head.find(b"\n", at)
        if end < 0:
            end = len(head)
        line = head[at:end].decode("latin-1").rstrip("\r")
        key, sign, value = line.partition("=")
        key, value = key.strip().lower(), value.strip()
        if at >= len(head) or (line.strip() and not sign) or len(line) > _LINE or "\0" in line:
            raise _refused(path, "it has no line 'ElementDataFile'" if at >= len(head) else f"a line is {line[:40]!r}")
        if key in fields:
            raise _refused(path, f"it names '{key[:40]}' twice")
        if len(key) > _TEXT or (len(value) > _TEXT and key in ("comment", "name", "objecttype", "objectsubtype")):
            raise _refused(path, f"'{key[:40]}' is too long")
        if key:
            fields[key] = value
        if key == "elementdatafile":
            return fields, min(end + 1, len(head))
        at = end + 1


def _check_meta_data(path: Path, fields: dict[str, str], start: int, need: int, axes: int, count: int) -> None:
    name, packed = fields["elementdatafile"], fields.get("compresseddata", "false").lower() == "true"
    skipped = _whole(path, "HeaderSize", fields.get("headersize", "0"), least=-1)
    if name.upper() == "LOCAL":
        files, begin = [path], start
    elif name.upper().startswith("LIST") or "%" in name:
        raise InputError(f"'{path}' lists files of slices, which is not read; save it as one file.")
    else:
        files, begin = [require_beside(path, name)], max(skipped, 0)
    (data,) = files
    if fields.get("binarydata", "true").lower() == "false":
        _check_text(path, data, begin, count, "text")
    elif packed:  # without the right size the library gives what happens to be in the memory
        size = _whole(path, "CompressedDataSize", fields.get("compresseddatasize", ""))
        if data.stat().st_size - begin != size:
            raise disagree(path, data.stat().st_size - begin > size)
        check_packed(path, data, begin, need, "zlib")
    else:
        check_stored(path, data, data.stat().st_size - need if skipped == -1 and data != path else begin, need)
