"""The file of tokens where it cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drills.cli.errors import CommandError
from drills.ctl.account import Account, Book

SOMEBODY = Account(
    url="https://a",
    tenant="main",
    user="u",
    access_token="t",  # noqa: S106 - nobody's
    refresh_token="r",  # noqa: S106 - likewise
    until_s=4e9,
)


def _lock(book: Book) -> None:
    with book.locked():
        pytest.fail("there is nothing to lock")


@pytest.mark.parametrize(
    "does",
    [Book.read, _lock, lambda book: book._write(book.read())],  # noqa: SLF001 - it writes
    ids=["read", "lock", "write"],
)
def test_a_folder_that_cannot_be_had_is_named_with_the_way_out(
    tmp_path: Path, does: Callable[[Book], object]
) -> None:
    (tmp_path / "config").touch()
    folder = tmp_path / "config" / "everline"
    with pytest.raises(CommandError, match=f"{folder}: Not a directory; make that folder yours"):
        does(Book(folder))


def test_what_goes_wrong_while_it_is_locked_is_told_as_it_is(tmp_path: Path) -> None:
    book = Book(tmp_path)
    with pytest.raises(ConnectionResetError), book.locked():
        raise ConnectionResetError
    book.keep(SOMEBODY)
    assert book.find("https://a") == SOMEBODY
