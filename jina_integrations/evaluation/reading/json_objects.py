"""Files of question sets: strict UTF-8 and JSON, and errors that name the file and the place."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ...errors import InvalidInputError, ReadError
from ...inputs import check_text
from ...readers.decoding import open_regular

__all__ = ["JsonObject", "parse", "read_json", "read_json_lines", "read_lines", "read_utf8"]


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object that knows where it stands.

    Attributes:
        file: The file.
        place: Where in the file, e.g. ``line 3``; empty for the file as a whole.
        fields: What it holds.
    """

    file: Path
    place: str
    fields: Mapping[str, object]

    def error(self, message: str) -> ReadError:
        """The error, with file and place before the message."""
        return ReadError(f"{self.file}{self.place and ', '}{self.place}: {message}")

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self.fields.get(key) is not None

    def string(self, key: str) -> str:
        """A string, which may be blank.

        Raises:
            ReadError: no string, a NUL character, or a lone surrogate.
        """
        value = self.fields.get(key)
        if not isinstance(value, str):
            raise self._needs(key, "a string")
        if value and not value.isspace():
            try:
                check_text(value)
            except InvalidInputError as exc:
                raise self.error(f'"{key}": {exc}') from exc
        return value

    def identifier(self, key: str) -> str:
        """A string that is not blank; an integer is taken as one.

        Raises:
            ReadError: something else.
        """
        value = self.fields.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str) or not value.strip():
            raise self._needs(key, "a string that is not empty, or an integer")
        return self.string(key)

    def integer(self, key: str) -> int:
        """An integer.

        Raises:
            ReadError: something else.
        """
        value = self.fields.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._needs(key, "an integer")
        return value

    def flag(self, key: str) -> bool:
        """True or false; false where the field is missing.

        Raises:
            ReadError: something else.
        """
        value = self.fields.get(key, False)
        if not isinstance(value, bool):
            raise self._needs(key, "true or false")
        return value

    def objects(self, key: str) -> Iterator[JsonObject]:
        """The objects of a list.

        Raises:
            ReadError: no list, or something else in it.
        """
        values = self.fields.get(key)
        if not isinstance(values, list):
            raise self._needs(key, "a list")
        for number, value in enumerate(cast("list[object]", values)):
            place = f"{self.place}{self.place and ', '}{key}[{number}]"
            yield _object(self.file, place, value)

    def _needs(self, key: str, wanted: str) -> ReadError:
        if key not in self.fields:
            return self.error(f'needs "{key}": {wanted}')
        return self.error(f'"{key}" must be {wanted}, not {_name(self.fields[key])}')


def read_utf8(file: Path) -> str:
    """The whole text, line ends as they are, without a byte order mark.

    Raises:
        ReadError: the file cannot be read, or is not UTF-8.
    """
    return "".join(line for _, line in read_lines(file))


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    r"""The lines with their ends and their numbers from 1; only ``\n`` ends one.

    Raises:
        ReadError: the file cannot be read, or is not UTF-8.
    """
    try:
        with open_regular(file) as stream:
            for number, line in enumerate(stream, 1):
                yield number, _decode(line, number)
    except OSError as exc:
        raise ReadError(f"{file}: cannot be read: {exc.strerror or exc}") from exc
    except ReadError as exc:
        raise ReadError(f"{file}: {exc}") from exc


def _decode(line: bytes, number: int) -> str:
    """The text of a line, without the byte order mark that the first may begin with."""
    try:
        return (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ReadError(
            f"line {number}: byte 0x{exc.object[exc.start]:02x} is not valid UTF-8: convert the "
            "file to UTF-8"
        ) from exc


def read_json(file: Path) -> JsonObject:
    """The object that the file holds.

    Raises:
        ReadError: the file cannot be read, is not UTF-8, or holds no JSON object.
    """
    return _object(file, "", parse(file, "", read_utf8(file)))


def read_json_lines(file: Path) -> Iterator[JsonObject]:
    """The object of each line; blank lines, which hold nothing, are passed over.

    Raises:
        ReadError: the file cannot be read, is not UTF-8, or a line holds no JSON object.
    """
    for number, line in read_lines(file):
        if not line.isspace():
            yield _object(file, f"line {number}", parse(file, f"line {number}", line))


def parse(file: Path, place: str, content: str) -> object:
    """The JSON value.

    Raises:
        ReadError: it is no JSON.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise JsonObject(file, place, {}).error(f"not valid JSON: {exc}") from exc


def _object(file: Path, place: str, value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise JsonObject(file, place, {}).error(f"must be a JSON object, not {_name(value)}")
    return JsonObject(file, place, cast("dict[str, object]", value))


def _name(value: object) -> str:
    """What JSON calls the value's type."""
    names: dict[type[object], str] = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(type(value), "a number")
