"""A CSV file's records as they stream in: whatever is in the file, and however it is cut."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.customers.lines import (
    LONGEST,
    NUL,
    STRAY,
    Fault,
    HeaderError,
    Record,
    draft,
    header,
    records,
)

LONG = "cannot be read: it is longer than 64 KiB"
NOT_UTF8 = "cannot be read: it is not UTF-8"


async def read(*chunks: bytes) -> list[tuple[int, Record]]:
    async def sent(each: Iterable[bytes]) -> AsyncIterator[bytes]:
        for chunk in each:
            yield chunk

    return [found async for found in records(sent(chunks))]


@pytest.mark.parametrize(
    ("file", "found"),
    [
        (b"", []),
        (b"\n\r\n\n", []),
        (b"a,b", [(1, ["a", "b"])]),
        (b'\xef\xbb\xbf"a",b\r\nc,d\r\n', [(1, ["a", "b"]), (2, ["c", "d"])]),
        (b'"a\nb","c""d"\ne,f\n', [(1, ["a\nb", 'c"d']), (3, ["e", "f"])]),
        (b"a\n\n\nb\n", [(1, ["a"]), (4, ["b"])]),
        ("a\nJürgen\nb\n".encode("latin-1"), [(1, ["a"]), (2, NOT_UTF8), (3, ["b"])]),
        (b'a\nsaid "hi\nb\nc\n', [(1, ["a"]), (2, ['said "hi']), (3, ["b"]), (4, ["c"])]),
        (b'a\n"open\nb\n', [(1, ["a"]), (2, STRAY), (3, ["b"])]),
        (b'5" nail\nb\n6" nail\nc', [(1, ['5" nail']), (2, ["b"]), (3, ['6" nail']), (4, ["c"])]),
        (b'a\n"b" c\nd\n', [(1, ["a"]), (2, STRAY), (3, ["d"])]),
        (b"a\rb\n", [(1, STRAY)]),
    ],
    ids=[
        "nothing", "blank", "no-end", "byte-order-mark", "several-lines", "blank-between",
        "latin-1", "stray-quote", "never-closed", "two-stray-quotes",
        "more-after-a-quote", "carriage-return",
    ],
)  # fmt: skip
async def test_each_line_counts_whatever_stands_in_another(
    file: bytes, found: list[tuple[int, Record]]
) -> None:
    assert await read(file) == found
    assert await read(*(file[at : at + 1] for at in range(len(file)))) == found


async def test_a_line_that_is_too_long_is_one_fault_and_is_not_held() -> None:
    held = [b"x" * LONGEST] * 40
    assert await read(b"a\n", *held, b"\nb\n") == [(1, ["a"]), (2, LONG), (3, ["b"])]


async def test_a_quote_that_is_never_closed_costs_one_line_of_a_long_file() -> None:
    found = await read(b'"open\n' + b"b,c\n" * 40_000)
    assert found[0] == (1, STRAY)
    assert len(found) == 40_001
    assert found[-1] == (40_001, ["b", "c"])


@given(
    st.lists(st.lists(st.text(max_size=4), min_size=2, max_size=2), max_size=6),
    st.integers(min_value=1, max_value=9),
)
async def test_what_a_csv_writer_writes_is_read_as_it_was(rows: list[list[str]], cut: int) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    file = text.getvalue().encode()
    found = await read(*(file[at : at + cut] for at in range(0, len(file), cut)))
    assert [record for _, record in found] == rows


@pytest.mark.parametrize("first", [[], STRAY, ["name;numbers"], ["Name"], ["name", "name"]])
def test_a_first_line_that_is_none_says_what_it_should_be(first: Record) -> None:
    with pytest.raises(HeaderError, match=r"UTF-8 with commas.*name, email"):
        header(first, ())


async def test_a_nul_is_a_fault_of_its_field_and_not_for_the_database_to_find() -> None:
    _, (at, cells) = await read(b"name,notes,email,pin\n", b"Anna,a\0b,\0@example.org,\0\n")
    found = draft(at, ("name", "notes", "email", "pin"), cells, "DE")
    assert found == (Fault(2, "notes", NUL), Fault(2, "email", NUL), Fault(2, "pin", NUL))
