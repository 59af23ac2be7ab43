"""Nouns back into the tables that an operator would have written for them. PURE.

`tables_of` and `state.configuration.configuration_of` undo each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from state.calendar_tables import table_of_calendar
from state.configuration import SECTIONS, Configuration
from state.model import (
    MAIN,
    Agent,
    Calendar,
    Did,
    Limit,
    PauseCode,
    Queue,
    RecordingRules,
    Scope,
    Site,
    SkillNeed,
    Step,
    Trunk,
    WrapUpCode,
)

Noun = Site | Trunk | Did | Queue | Agent | Calendar | PauseCode | WrapUpCode
Table = dict[str, Any]


def tables_of(configuration: Configuration) -> dict[str, dict[str, Table]]:
    """Return every table by section and id; what is as by default is left out."""
    return {
        section: {_id(noun): table_of(noun) for noun in getattr(configuration, section)}
        for section in SECTIONS
    }


def table_of(noun: Noun) -> Table:  # noqa: PLR0911 - one case a noun
    """Return the table of one noun, in values that JSON knows."""
    match noun:
        case Site():
            return _whole(noun, "id", "backups") | _if_any(backups=noun.backups)
        case Trunk():
            return _trunk(noun)
        case Did():
            return _whole(noun, "number", "forward")  # a plan's, never a file's
        case Queue():
            return _queue(noun)
        case Agent():
            return _agent(noun)
        case PauseCode() | WrapUpCode():
            return _whole(noun, "id")
        case Calendar():
            return _plain(msgspec.to_builtins(table_of_calendar(noun)), tenant="main")


def _id(noun: Noun) -> str:
    return noun.number if isinstance(noun, Did) else noun.id


def _trunk(trunk: Trunk) -> Table:
    lists = ("addresses", "dial_out", "tenants")
    made = _whole(trunk, "id", "tenants")
    if trunk.tenants != (MAIN,):
        made["tenants"] = list(trunk.tenants)
    return {name: list(value) if name in lists else value for name, value in made.items()}


def _queue(queue: Queue) -> Table:
    lifted = (
        "id",
        "needs",
        "any_of",
        "attributes",
        "scope",
        "steps",
        "weights",
        "call_back",
        "recording",
    )
    limits = ("longest_queue", "longest_wait_s", "longest_estimate_s")
    attributes: dict[str, list[str]] = {}
    for need in queue.attributes:
        attributes.setdefault(need.name, []).append(need.value)
    return (
        {"needs": _levels(queue.needs)}
        | _whole(queue, *lifted, *limits)
        | _if_any(
            weights=_whole(queue.weights),
            any_of=[_levels(group) for group in queue.any_of],
            attributes=attributes,
            scope=_scope(queue.scope),
            steps=[_step(step) for step in queue.steps],
            recording=_recording(queue.recording),
            call_back={} if queue.call_back is None else _whole(queue.call_back),
        )
        | {name: _limit(getattr(queue, name)) for name in limits if getattr(queue, name)}
    )


def _recording(rules: RecordingRules) -> Table:
    countries = {code: _whole(each) for code, each in rules.countries.items()}
    return _whole(rules, "countries") | _if_any(countries=countries)


def _step(step: Step) -> Table:
    lifted = _whole(step, "lower", "scope") | _if_any(lower=_levels(step.lower))
    return lifted if step.scope is None else lifted | {"scope": _scope(step.scope)}


def _limit(limit: Limit) -> Table:
    return _whole(limit)


def _scope(scope: Scope) -> Table:
    return _whole(scope)


def _agent(agent: Agent) -> Table:
    made = _whole(agent, "id", "attributes") | {"skills": dict(agent.skills)}
    return made | _if_any(attributes={name: list(of) for name, of in agent.attributes.items()})


def _levels(needs: Iterable[SkillNeed]) -> dict[str, int]:
    return {need.skill: need.level for need in needs}


def _whole(value: msgspec.Struct, *but: str) -> Table:
    """Return a struct's fields as JSON knows them, without defaults and without `but`."""
    cls = type(value)
    made: Table = {}
    for field in msgspec.structs.fields(cls):
        given = getattr(value, field.name)
        if field.name in but:
            continue
        if not field.required and given == _default(field):
            continue
        made[field.name] = msgspec.to_builtins(given, enc_hook=dict)
    return made


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    factory = field.default_factory
    return factory() if callable(factory) else factory


def _plain(table: Table, **defaults: object) -> Table:
    return {name: value for name, value in table.items() if defaults.get(name) != value}


def _if_any(**values: Mapping[str, Any] | Iterable[Any]) -> Table:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items() if v}
