"""PURE. A document, judged as a whole: what would be published, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import phonenumbers
from msgspec import Struct
from msgspec.structs import replace

from control_plane.configuration import numbers
from control_plane.configuration.document import Document, Item, by_section
from control_plane.configuration.nouns import ACTIVATIONS, ActivationTable, PlanTable
from control_plane.configuration.plans import meeting, misfits, overlaid
from edge.acd.eligibility import unsuited_because
from edge.acd.needs import Needs
from state.configuration import SECTIONS, Configuration
from state.configuration_findings import Finding, Severity, dangling
from state.model import Agent, Contingency, Did, Queue, TenantId, Trunk
from state.table import check_agent_id


class Checked(Struct, frozen=True, kw_only=True):
    """What a document comes to."""

    configuration: Configuration
    """With what the active plans change: what edges are to go by. Only if there is no error."""
    findings: tuple[Finding, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return what nothing is published with."""
        return tuple(each for each in self.findings if each.severity is Severity.ERROR)


def check(document: Document) -> Checked:
    """Return what the document comes to."""
    items = by_section(document)
    found = [item.noun for item in document.values() if isinstance(item.noun, Finding)]
    if found:
        return Checked(configuration=Configuration(), findings=tuple(found))
    nouns: dict[str, Any] = {
        section: tuple(item.noun for item in items[section]) for section in SECTIONS
    }
    bare = Configuration(**nouns)
    if found := list(dangling(bare)):
        return Checked(configuration=bare, findings=tuple(found))
    plans: dict[str, PlanTable] = {item.id: item.noun for item in items["plans"]}
    activations: dict[str, ActivationTable] = {item.id: item.noun for item in items[ACTIVATIONS]}
    order = sorted(activations, key=lambda each: (activations[each].since_ms, each))
    active = {identifier: plans[identifier] for identifier in order if identifier in plans}
    found += _of_plans(plans, activations, bare)
    found += meeting(active)
    if any(each.severity is Severity.ERROR for each in found):
        return Checked(configuration=bare, findings=tuple(found))
    whole = replace(
        overlaid(bare, active.values()),
        contingencies=tuple(_contingency(each, plans[each], activations[each]) for each in active),
    )
    if active:
        found += dangling(whole)
    found += numbers.told(whole.dids)
    found += _unclear_numbers(whole.trunks, whole.dids)
    found += _who_cannot_sign_in(whole.agents)
    found += _unstaffed(whole)
    found += _unspoken(whole, document)
    found += _of_teams(bare, items["teams"])
    return Checked(configuration=whole, findings=tuple(found))


def _of_teams(bare: Configuration, teams: Iterable[Item]) -> Iterator[Finding]:
    """Yield teams at no site, and agents of no team where their tenant has some."""
    sites = {site.id for site in bare.sites}
    known: dict[str, set[str]] = {}
    for team in teams:
        known.setdefault(team.tenant, set()).add(team.id)
        at = team.noun.site
        if at and at not in sites:
            yield _warning("teams", team.id, "site", f"there is no site {at}", "name one")
    for agent in bare.agents:
        names = known.get(agent.tenant)
        if names and agent.team and agent.team not in names:
            fault = f"there is no team {agent.team}"
            yield _warning("agents", agent.id, "team", fault, "add it, or name another")


def _of_plans(
    plans: dict[str, PlanTable], activations: dict[str, ActivationTable], bare: Configuration
) -> Iterator[Finding]:
    """Yield what does not fit: an error for a plan that is active, since it is in force."""
    for identifier, plan in plans.items():
        for misfit in misfits(identifier, plan, bare):
            if identifier in activations:
                remedy = f"{misfit.remedy}; a plan that is active, revert first"
                yield replace(misfit, severity=Severity.ERROR, remedy=remedy)
            else:
                yield misfit
    for identifier in activations.keys() - plans.keys():
        yield Finding.error(
            "plans", identifier, "", "is active, and not there", "revert the plan first"
        )


def _contingency(identifier: str, plan: PlanTable, activation: ActivationTable) -> Contingency:
    return Contingency(
        id=identifier,
        name=plan.name or identifier,
        since_ms=activation.since_ms,
        tenant=TenantId(plan.tenant),
    )


def _unclear_numbers(trunks: Iterable[Trunk], dids: Iterable[Did]) -> Iterator[Finding]:
    """Yield a warning for what keeps callers' numbers from being understood."""
    told: dict[str, Trunk] = {}
    lines = tuple(dids)
    clear = {each.tenant for each in lines} - {each.tenant for each in lines if not each.region}
    for did in lines:
        if did.region and did.region not in phonenumbers.SUPPORTED_REGIONS:
            fault = f"{did.region} is no country whose numbers are known"
            yield _warning("dids", did.number, "region", fault, "give its ISO 3166 code: DE")
    for trunk in trunks:
        if trunk.region and trunk.region not in phonenumbers.SUPPORTED_REGIONS:
            fault = f"{trunk.region} is no country whose numbers are known"
            yield _warning("trunks", trunk.id, "region", fault, "give its ISO 3166 code: DE")
        for tenant in trunk.tenants if trunk.region else ():
            first = told.setdefault(tenant, trunk)
            if first.region != trunk.region and tenant not in clear:
                fault = (
                    f"the trunk {first.id!r} of the tenant {tenant!r} says {first.region}:"
                    " numbers without + mean nothing for it"
                )
                hint = "let both say the same, or each DID its own region"
                yield _warning("trunks", trunk.id, "region", fault, hint)


def _who_cannot_sign_in(agents: Iterable[Agent]) -> Iterator[Finding]:
    """Yield a warning for each agent who was given an id under which nobody signs in."""
    for agent in agents:
        try:
            check_agent_id(agent.id)
        except ValueError as error:
            yield _warning("agents", agent.id, "", str(error), "add them under another id")


def _unstaffed(configuration: Configuration) -> Iterator[Finding]:
    """Yield a warning for each queue whose calls no agent could take."""
    agents: dict[str, list[Agent]] = {}
    best: dict[str, dict[str, int]] = {}
    for agent in configuration.agents:
        agents.setdefault(agent.tenant, []).append(agent)
        levels = best.setdefault(agent.tenant, {})
        for skill, level in agent.skills.items():
            levels[skill] = max(level, levels.get(skill, 0))
    for queue in configuration.queues:
        own = agents.get(queue.tenant, [])
        levels = best.get(queue.tenant, {})
        missing = [need for need in queue.needs if levels.get(need.skill, 0) < need.level]
        for need in missing:
            text = f"nobody has the skill {need.skill!r} at level {need.level} or above"
            yield _warning(
                "queues", queue.id, "needs", text, "give an agent the skill, or lower the need"
            )
        if not missing and not _has_agent(queue, own):
            text = "no agent meets all that it needs at first"
            yield _warning(
                "queues", queue.id, "needs", text, "look at needs, any_of, attributes and scope"
            )


def _has_agent(queue: Queue, agents: Iterable[Agent]) -> bool:
    needs = Needs.of_queue(queue)
    return any(unsuited_because(agent, needs) is None for agent in agents)


def _unspoken(configuration: Configuration, document: Document) -> Iterator[Finding]:
    """Yield a warning for each word that is in no vocabulary, where there is one."""
    skills = _words(document, "skills")
    prompts = _words(document, "prompts")
    for queue in configuration.queues:
        known = skills.get(queue.tenant)
        for need in queue.needs:
            if known and need.skill not in known:
                text = f"the skill {need.skill!r} is not declared"
                yield _warning(
                    "queues", queue.id, "needs", text, "add it to the skills, or correct it"
                )
        told = prompts.get(queue.tenant)
        for field, prompt in _prompts_of(queue):
            if told and prompt not in told:
                text = f"the prompt {prompt!r} is not declared"
                yield _warning(
                    "queues", queue.id, field, text, "add it to the prompts, or correct it"
                )


def _prompts_of(queue: Queue) -> Iterator[tuple[str, str]]:
    """Yield every prompt that a queue names, once, with the field that does."""
    rules = queue.recording
    named = [("greeting", queue.greeting)]
    spoken = [rules.announcement, rules.consent, rules.apology]
    for country in rules.countries.values():
        spoken += [country.announcement, country.consent]
    named += [("recording", prompt) for prompt in spoken]
    if queue.call_back is not None:
        named += [("call_back", each) for each in (queue.call_back.offer, queue.call_back.notice)]
    yield from dict.fromkeys((field, prompt) for field, prompt in named if prompt is not None)


def _words(document: Document, section: str) -> dict[str, set[str]]:
    words: dict[str, set[str]] = {}
    for item in document.values():
        if item.section == section:
            words.setdefault(item.tenant, set()).add(item.id)
    return words


def _warning(section: str, identifier: str, field: str, fault: str, remedy: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        section=section,
        id=identifier,
        field=field,
        fault=fault,
        remedy=remedy,
    )
