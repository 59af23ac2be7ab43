"""PURE. The conditions that a policy line may name: registered functions of a question.

A line's condition is a name, or names joined by `&` that all have to hold. One that is about
something in particular names it after a colon: `from_country:DE`. A condition that asks for what is
not known raises `UnknownFactError`: an allow does not count then, and a deny does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

import phonenumbers

from control_plane.errors import ControlPlaneError
from control_plane.subjects import Question
from edge.acd.recorded import country_of

T = TypeVar("T")
Condition = Callable[[Question], bool]
JOIN: Final = "&"
OF: Final = ":"


class UnknownFactError(ControlPlaneError):
    """A condition needs a fact that nobody has established."""


def known(fact: T | None) -> T:
    """Return `fact`, or raise `UnknownFactError`."""
    if fact is None:
        raise UnknownFactError
    return fact


def always(_question: Question) -> bool:
    """Hold."""
    return True


def is_disabled(question: Question) -> bool:
    """The subject has been disabled."""
    return not question.subject.is_active


def on_call(question: Question) -> bool:
    """The subject talks to this customer, or still wraps the call up."""
    agent = question.subject.agent
    return bool(agent) and agent in known(question.thing.on_call_with)


def own_call(question: Question) -> bool:
    """The call, or its recording, is the subject's own."""
    agent = question.subject.agent
    return bool(agent) and agent == known(question.thing.agent)


def own_self(question: Question) -> bool:
    """It is the agent as whom the subject takes calls."""
    agent = question.subject.agent
    return bool(agent) and agent == known(question.thing.agent)


def is_machine(question: Question) -> bool:
    """The subject is a machine with a token, and not a person who has signed in."""
    return question.subject.until_ms is not None


def own_request(question: Question) -> bool:
    """It is the subject who has asked for it."""
    return known(question.thing.by) == question.subject.id


def same_employer(question: Question) -> bool:
    """It belongs to the subject's employer."""
    employer = question.subject.employer
    return bool(employer) and employer == known(question.thing.employer)


def same_team(question: Question) -> bool:
    """It belongs to the subject's team: one of the same name at another site is another."""
    subject, thing = question.subject, question.thing
    mine = (subject.team, subject.site)
    return all(mine) and mine == (known(thing.team), known(thing.site))


def made_in_team_time(question: Question) -> bool:
    """It was made since the agent it is of joined the team."""
    return known(question.thing.made_ms) >= known(question.thing.in_team_since_ms)


def with_purpose(question: Question) -> bool:
    """The request says what it is for."""
    return bool(question.around.purpose.strip())


def dual_control(question: Question) -> bool:
    """Somebody else of another reporting line has approved exactly this, once, and lately."""
    approval = question.around.approval
    return (
        approval is not None
        and bool(approval.by)
        and approval.by != question.subject.id
        and not approval.same_line
        and not approval.are_of_one
        and approval.still_may
        and not approval.is_used
        and question.around.now_ms < approval.until_ms
        and approval.act == question.permission.value
        and bool(question.thing.id)
        and (question.thing.id, question.thing.digest)
        in {(approval.thing, approval.digest), *approval.things}
    )


def has_legal_hold(question: Question) -> bool:
    """A court or an authority wants it kept."""
    return known(question.thing.has_legal_hold)


def break_glass(question: Question) -> bool:
    """Hold with a permit for an incident that names this thing and still stands."""
    glass = question.around.glass
    return (
        glass is not None
        and bool(glass.ticket)
        and question.around.now_ms < glass.until_ms
        and bool(question.thing.id)
        and question.thing.id in glass.things
    )


REGISTERED: Final[Mapping[str, Condition]] = MappingProxyType(
    {
        each.__name__: each
        for each in (
            always,
            break_glass,
            dual_control,
            has_legal_hold,
            is_disabled,
            is_machine,
            made_in_team_time,
            on_call,
            own_call,
            own_request,
            own_self,
            same_employer,
            same_team,
            with_purpose,
        )
    }
)


def from_country(question: Question, country: str) -> bool:
    """Who calls, or the customer, has a number of this country."""
    countries = {country_of(each) for each in known(question.thing.numbers)} - {""}
    return country in known(countries or None)


class Particular(NamedTuple):
    """A condition that names something."""

    holds: Callable[[Question, str], bool]
    names: frozenset[str]
    """What it may name."""


PARTICULAR: Final[Mapping[str, Particular]] = MappingProxyType(
    {
        from_country.__name__: Particular(
            holds=from_country, names=frozenset(phonenumbers.SUPPORTED_REGIONS)
        ),
    }
)


def fault(name: str) -> str | None:
    """Return what is wrong with the name of one condition; None: it can be asked."""
    head, colon, rest = name.partition(OF)
    if not colon and name in REGISTERED:
        return None
    if head not in PARTICULAR:
        every = sorted(REGISTERED) + [f"{each}{OF}..." for each in sorted(PARTICULAR)]
        return f"nobody knows the condition {name!r}; known are {', '.join(every)}"
    if rest not in PARTICULAR[head].names:
        return f"{head}{OF} names nothing that is known by {rest!r}; for example {head}{OF}DE"
    return None


def holds(names: str, question: Question) -> bool:
    """Return whether all of `names` hold. Raise `UnknownFactError` if that cannot be known."""
    return all(_holds(name, question) for name in names.split(JOIN))


def _holds(name: str, question: Question) -> bool:
    plain = REGISTERED.get(name)
    if plain is not None:
        return plain(question)
    head, _, rest = name.partition(OF)
    return PARTICULAR[head].holds(question, rest)
