"""From a file's bytes to text, with every byte accounted for."""

from __future__ import annotations

import codecs
import os
import re
import stat
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from ..errors import MissingExtraError, ReadError
from ..types import Scalar

__all__ = ["BinaryContentError", "encoding_metadata", "find_encoding", "open_regular", "read_text"]

_HEAD_BYTES = 8192
"""Where a NUL means "binary"; git looks at the first 8000 bytes for the same purpose."""

_BLOCK_BYTES = 1 << 20

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_LEGACY_ENCODINGS = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("cp874", "cp866", "iso8859_2", "iso8859_5", "iso8859_7", "koi8_r", "koi8_u"),
    *("gb18030", "big5", "cp932", "euc_jp", "cp949"),
]
"""What is guessed among: legacy encodings of the WHATWG Encoding Standard (section 4.2), less
the rare members of ISO 8859 and those of old Macintoshes, which make the guess worse."""

_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
"""Declared names that mean a wider encoding (WHATWG Encoding Standard, section 4.2), by Python's
names."""

_ICELANDIC = re.compile("[ðþýÐÞÝ]")
"""The letters of cp1252 that are Turkish ones in cp1254."""


class BinaryContentError(ReadError):
    """A file of a text type holds NUL near its start. Never leaves the readers."""


def open_regular(location: Path) -> BufferedReader:
    """The file, open for reading; a FIFO or a device is refused and never waited for.

    Raises:
        ReadError: it is not a regular file.
        OSError: it cannot be opened.
    """
    stream = open(location, "rb", opener=_open_without_waiting)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise ReadError("is not a regular file: copy its content into one")
    return stream


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def find_encoding(stream: BinaryIO, *, declared: str | None = None) -> str:
    """Python's name of the encoding, found by reading the file once; leaves it at its start.

    In this order: a byte order mark; UTF-8, where all of the file is, or where most of what is not
    ASCII is (then the file is damaged, and decoding will say where); the declared encoding, where
    it decodes the file; what charset-normalizer finds most likely.

    Args:
        stream: The file.
        declared: What the file itself says, e.g. in an HTML ``meta`` tag.

    Raises:
        BinaryContentError: no byte order mark, and NUL in the first 8 KiB.
        ReadError: no encoding is likely.
        MissingExtraError: charset-normalizer is needed and not installed.
    """
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if encoding is None:
        if b"\0" in head:
            raise BinaryContentError(f"is a binary file: NUL at byte {head.index(0)}")
        encoding = "utf-8" if _decodes(stream, "utf-8") else _legacy_encoding(stream, declared)
    stream.seek(0)
    return encoding


def read_text(stream: BinaryIO, *, declared: str | None = None) -> tuple[str, str]:
    r"""The whole text with ``\r\n`` and ``\r`` as ``\n``, and the encoding's name.

    Raises:
        ReadError: as in `find_encoding`, or some byte is not valid in that encoding.
        MissingExtraError: charset-normalizer is needed and not installed.
    """
    encoding = find_encoding(stream, declared=declared)
    try:
        text = stream.read().decode(encoding)
    except UnicodeDecodeError as exc:
        raise ReadError(
            f"byte {exc.start} is not valid {encoding} ({exc.reason}): repair the file, "
            "or convert it to UTF-8"
        ) from exc
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def encoding_metadata(encoding: str) -> dict[str, Scalar]:
    """``{"encoding": …}`` where the encoding was declared or guessed; empty for Unicode's own."""
    return {} if encoding.startswith("utf") else {"encoding": encoding}


def _decodes(stream: BinaryIO, encoding: str) -> bool:
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := stream.read(_BLOCK_BYTES):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _legacy_encoding(stream: BinaryIO, declared: str | None) -> str:
    sample = _lines_beyond_ascii(stream)
    if _mostly_utf8(sample):
        return "utf-8"
    label = _python_name(declared)
    if label is not None and _decodes(stream, label):
        return label
    return _guess(sample)


def _lines_beyond_ascii(stream: BinaryIO) -> bytes:
    """Whole lines that hold bytes over 127, 1 MiB of them (more where one line is longer)."""
    stream.seek(0)
    lines: list[bytes] = []
    size = 0
    for line in stream:
        if not line.isascii():
            lines.append(line)
            size += len(line)
            if size >= _BLOCK_BYTES:
                break
    return b"".join(lines)


def _mostly_utf8(sample: bytes) -> bool:
    """Whether at least half of the bytes over 127 belong to well-formed UTF-8.

    Next to none do in cp1252, about a tenth in GB 18030: so this is UTF-8 with damaged bytes, and
    a guess would only find an encoding in which all of it is nonsense.
    """
    beyond_ascii = len(sample.translate(None, bytes(range(128))))
    ascii_bytes = len(sample) - beyond_ascii
    well_formed = len(sample.decode("utf-8", "ignore").encode()) - ascii_bytes  # counted, not used
    return 2 * well_formed >= beyond_ascii


def _python_name(label: str | None) -> str | None:
    """Python's name of a declared encoding; None where it has none, or it cannot be right."""
    if label is None:
        return None
    try:
        name = codecs.lookup(label).name
        if b"<".decode(name) != "<":
            return None
    except (LookupError, ValueError):
        return None
    return _WIDER.get(name, name)


def _guess(sample: bytes) -> str:
    """The likeliest legacy encoding of the sample.

    charset-normalizer cannot tell the Western languages in cp1252 from their nonsense in cp1250
    (it reads French "à" as "ŕ"), and then takes the first by name. So cp1252, by far the more
    common, wins wherever it scores nearly as well and the text would not be Turkish.
    """
    try:
        from charset_normalizer import from_bytes
    except ImportError as exc:
        raise MissingExtraError("reading text that is not UTF-8", "readers") from exc
    matches = from_bytes(sample, cp_isolation=_LEGACY_ENCODINGS, threshold=0.3)
    best = matches.best()
    if best is None:
        raise ReadError("its encoding is not recognised: convert it to UTF-8")
    for match in matches:
        if (
            "cp1252" in match.could_be_from_charset
            and match.chaos <= best.chaos + 0.1
            and match.coherence >= best.coherence - 0.12
            and not _ICELANDIC.search(sample.decode("cp1252", "ignore"))
        ):
            return "cp1252"
    return best.encoding
