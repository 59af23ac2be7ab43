"""What can be typed next after `./everline ctl`, without asking anybody.

The commands that a control plane last told are kept, as words alone, in the user's own folder.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from drills.ctl.account import folder
from drills.ctl.commands import Command
from drills.ctl.line import OWN
from state.codec import UNREADABLE

_SIGN_IN = ("--url", "--login", "--tenant", "--password-file", "--ca", "--oidc")


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A command, and what may stand behind it."""

    words: tuple[str, ...]
    options: tuple[str, ...]


_ALWAYS = (Known(words=("sign-in",), options=_SIGN_IN), Known(words=("sign-out",), options=()))


def _file() -> Path:
    return folder() / "ctl-words.json"


def keep(commands: Iterable[Command]) -> None:
    """Keep these for the next time somebody asks; where that cannot be, nothing is lost."""
    known = [
        Known(words=each.words, options=tuple(f"--{option.name}" for option in each.options))
        for each in commands
    ]
    text = msgspec.json.encode(known)
    with contextlib.suppress(OSError):
        if not _file().exists() or _file().read_bytes() != text:
            _file().write_bytes(text)


def kept() -> tuple[Known, ...]:
    """Return what was kept; nothing before the first command."""
    try:
        return msgspec.json.decode(_file().read_bytes(), type=tuple[Known, ...])
    except (OSError, *UNREADABLE):
        return ()


def candidates(typed: Sequence[str], known: Iterable[Known]) -> Iterator[str]:
    """PURE. Yield what may come after the words `typed`, which stand behind `ctl`, whole."""
    before = tuple(word for word in typed if not word.startswith("-"))
    found: dict[str, None] = {}
    for each in (*_ALWAYS, *known):
        if each.words[: len(before)] == before and len(each.words) > len(before):
            found[each.words[len(before)]] = None
        elif before[: len(each.words)] == each.words:
            found |= dict.fromkeys((*each.options, *_own(each)))
    yield from (each for each in found if each not in typed)


def _own(known: Known) -> Iterable[str]:
    return () if known in _ALWAYS else (f"--{name}" for name in OWN)
