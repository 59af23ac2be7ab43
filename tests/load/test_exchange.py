"""Telephones that die are begun anew, so often as is sensible, and that is told."""

from __future__ import annotations

import pytest

from loadtests.load.exchange import LIVES_MOST, Exchange, PhonesError


class Phones:
    """Telephones that can be made to end."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.is_over = False
        self.waited = self.stopped = 0

    def await_ready(self) -> None:
        """Be ready at once."""
        self.waited += 1

    def stop(self) -> None:
        """Count it."""
        self.stopped += 1


def exchange() -> tuple[Exchange[Phones], list[str]]:
    told: list[str] = []
    return Exchange(0, Phones, told.append), told


def test_telephones_of_a_host_are_begun_once_as_long_as_they_live() -> None:
    here, told = exchange()
    assert here.at("callers") is here.at("callers")
    assert here.at("agents-a") is not here.at("callers")
    assert told == []


def test_telephones_that_have_ended_are_begun_anew_and_told() -> None:
    here, told = exchange()
    first, others = here.at("callers"), here.at("agents-a")
    first.is_over = True
    second = here.at("callers")
    assert second is not first
    assert (second.waited, first.stopped) == (1, 1)
    assert here.at("callers") is second
    assert here.at("agents-a") is others
    assert told == ["callers"]


def test_telephones_that_die_again_and_again_are_given_up() -> None:
    here, told = exchange()
    for _ in range(LIVES_MOST):
        here.at("callers").is_over = True
    with pytest.raises(PhonesError, match="callers have ended 10 times"):
        here.at("callers")
    assert len(told) == LIVES_MOST - 1
