"""PURE. JSON schemas of the API's document: what a field is, and a typed word as its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

_HOPS: Final = 10
_YES: Final = {"true": True, "yes": True, "false": False, "no": False}


class BadValueError(ValueError):
    """A word cannot be this field's value; the text says what would be."""


class Schemas:
    """All schemas of a document, by name."""

    def __init__(self, named: Mapping[str, Mapping[str, Any]]) -> None:
        self._named = named

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow `$ref`, and take the one alternative besides null."""
        found = schema
        for _ in range(_HOPS):
            if "$ref" in found:
                found = self._named.get(str(found["$ref"]).rpartition("/")[2], {})
                continue
            others = [
                each
                for each in found.get("anyOf", found.get("oneOf", ()))
                if each.get("type") != "null"
            ]
            if len(others) != 1:
                return found
            found = others[0]
        return found

    def properties(self, schema: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """Return an object's fields; none of anything else."""
        found: Mapping[str, Mapping[str, Any]] = self.resolve(schema).get("properties", {})
        return found

    def needed(self, schema: Mapping[str, Any]) -> frozenset[str]:
        """Return which fields have to be there."""
        return frozenset(self.resolve(schema).get("required", ()))

    def is_plain(self, schema: Mapping[str, Any]) -> bool:
        """Whether one word can say it."""
        found = self.resolve(schema)
        return found.get("type") in ("string", "integer", "number", "boolean") or "enum" in found

    def is_flag(self, schema: Mapping[str, Any]) -> bool:
        """Whether it is yes or no."""
        found = self.resolve(schema)
        return found.get("type") == "boolean" or set(found.get("enum", ())) == {"true", "false"}

    def says(self, schema: Mapping[str, Any]) -> str:
        """Return what a value looks like, in a word or two."""
        found = self.resolve(schema)
        kind = str(found.get("type", "JSON"))
        if "enum" in found:
            return "|".join(str(each) for each in found["enum"])
        if kind == "array":
            return f"{self.says(found.get('items', {}))},..."
        if kind == "object":
            inner = _of_map(found)
            return f"NAME={self.says(inner)},..." if isinstance(inner, Mapping) else "JSON"
        return str(found.get("format", "text")) if kind == "string" else kind

    def words(self, schema: Mapping[str, Any]) -> list[str]:
        """Return the words among which a value, or each of a list's, has to be; none: any."""
        return [str(each) for each in self._each(schema).get("enum", ())]

    def inner(self, schema: Mapping[str, Any]) -> list[str]:
        """Return the fields of a thing, or of each thing of a list."""
        return list(self._each(schema).get("properties", {}))

    def _each(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a list or a map is of, at its bottom; or the schema itself."""
        found = self.resolve(schema)
        inner = found.get("items", _of_map(found))
        return self._each(inner) if isinstance(inner, Mapping) and inner else found

    def usual(self, schema: Mapping[str, Any]) -> str:
        """Return what a field is where nothing is said, if that says anything."""
        found = schema.get("default", self.resolve(schema).get("default"))
        is_word = isinstance(found, str | int | float) and not isinstance(found, bool)
        return str(found) if is_word and found != "" else ""

    def apart(self, schema: Mapping[str, Any], words: Sequence[str]) -> list[str]:
        """Return the words that a query repeats its parameter for."""
        is_many = self.resolve(schema).get("type") == "array"
        return _split(words) if is_many else list(words)

    def value(self, schema: Mapping[str, Any], words: Sequence[str]) -> Any:  # noqa: ANN401, PLR0911 - JSON
        """Return what `words` say: several for a list or a map. Raise `BadValueError`.

        What begins with [ or { is JSON, but where it is text that is wanted; an empty word is null
        where null is allowed.
        """
        found = self.resolve(schema)
        last = words[-1]
        if last[:1] in ("[", "{") and found.get("type") != "string":
            return _json(last)
        kinds = {each.get("type") for each in schema.get("anyOf", ())}
        if not last and "null" in kinds and found.get("type") != "string":
            return None
        if self.is_flag(schema):
            if last not in _YES:
                raise BadValueError("should be true or false")
            return _YES[last] if found.get("type") == "boolean" else str(_YES[last]).lower()
        match found.get("type"):
            case "array":
                items = found.get("items", {})
                return [self.value(items, [each]) for each in _split(words)]
            case "object":
                return self._map(found, words)
            case "integer" | "number" as kind:
                return _number(last, kind)
            case "string":
                return last
            case _:
                return last if "string" in kinds else _guess(last)

    def _map(self, found: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
        inner = _of_map(found)
        made = {}
        for each in _split(words):
            name, equals, value = each.partition("=")
            if not (name and equals):
                raise BadValueError("should be NAME=VALUE, or JSON")
            shape = found.get("properties", {}).get(name, inner)
            shape = shape if isinstance(shape, Mapping) else {}
            is_null = value == "null" and any(
                e.get("type") == value for e in shape.get("anyOf", ())
            )
            made[name] = None if is_null else self.value(shape, [value])
        return made


def _of_map(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a schema, a yes or no, or nothing
    """Return what the values of an object are that names no fields: perhaps by how those look."""
    patterns = schema.get("patternProperties", {})
    return schema.get("additionalProperties", next(iter(patterns.values()), None))


def _split(words: Sequence[str]) -> list[str]:
    return [each.strip() for word in words for each in word.split(",") if each.strip()]


def _json(text: str) -> Any:  # noqa: ANN401 - whatever it says
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadValueError(f"should be JSON: {error}") from error


def _number(text: str, kind: str) -> int | float:
    try:
        return int(text) if kind == "integer" else float(text)
    except ValueError as error:
        raise BadValueError(f"should be a {kind}") from error


def _guess(text: str) -> Any:  # noqa: ANN401 - whatever it says
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
