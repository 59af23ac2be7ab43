"""Ephemeral credentials at real Kamailios: who gets in, and until when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.model import AgentId
from state.phone_credentials import LIFETIME_S, PhoneCredentials, PhoneSecret, issue, read_secrets
from tests.kemi.phone import asked, proved
from tests.kemi.sip_peer import Message, ha1_of
from tests.kemi.site import Site, running

pytestmark = pytest.mark.parts

CURRENT, PREVIOUS, GONE = read_secrets("\n".join(letter * 40 for letter in "abc"))
ALICE = "alice"


def now_s() -> int:
    return int(time.clock_gettime(time.CLOCK_REALTIME))


def of(agent: str, secret: PhoneSecret = CURRENT, lives_s: int = 60) -> PhoneCredentials:
    return issue(secret, AgentId(agent), now_s() + lives_s)


@pytest.fixture
def home(site: Site) -> Site:
    """Return the home site of two agents without passwords, and of one with."""
    site.rpc("htable.flush", "sip_secret")
    for agent, ha1 in ((ALICE, "-"), ("bob", "-"), ("carol", ha1_of("carol", "pw"))):
        site.put("ha1", agent, ha1)
        site.rpc("ul.rm", "location", agent)
    for secret in (CURRENT, PREVIOUS):
        site.put("sip_secret", secret.name, secret.text)
    return site


def register(site: Site, given: PhoneCredentials, agent: str = ALICE) -> Message:
    phone = site.peer()
    challenge = asked(phone, "REGISTER", agent)
    return proved(phone, "REGISTER", agent, challenge, given.user, given.password)


def is_registered(site: Site, agent: str) -> bool:
    return "Contacts" in site.rpc("ul.lookup", "location", agent)


@pytest.mark.parametrize("secret", [CURRENT, PREVIOUS])
def test_credentials_of_the_current_and_the_previous_secret_are_taken(
    home: Site, secret: PhoneSecret
) -> None:
    assert register(home, of(ALICE, secret)).status == 200
    assert is_registered(home, ALICE)


@pytest.mark.parametrize("agent", ["anna+1", "+1"])
def test_an_agent_with_a_plus_in_their_id_gets_in(home: Site, agent: str) -> None:
    home.put("ha1", agent, "-")
    assert register(home, of(agent), agent=agent).status == 200
    assert is_registered(home, agent)


def forged(given: PhoneCredentials, agent: str) -> PhoneCredentials:
    """Return credentials in which somebody has put another agent, or another expiry."""
    name, _, _ = given.user.split(":")
    return PhoneCredentials(
        user=f"{name}:{given.until_s}:{agent}", password=given.password, until_s=given.until_s
    )


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: of(ALICE, lives_s=0), id="expired"),
        pytest.param(lambda: of(ALICE, lives_s=LIFETIME_S * 4), id="good-for-too-long"),
        pytest.param(lambda: of(ALICE, GONE), id="of-a-secret-that-is-no-more"),
        pytest.param(lambda: forged(of("bob"), ALICE), id="another-agents"),
        pytest.param(
            lambda: PhoneCredentials(user=f"{CURRENT.name}::{ALICE}", password="x" * 43, until_s=0),
            id="rubbish",
        ),
        pytest.param(
            lambda: PhoneCredentials(user=ALICE, password="-", until_s=0),  # noqa: S106
            id="no-password-at-all",
        ),
    ],
)
def test_what_is_expired_or_forged_is_challenged_again(home: Site, made) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    assert register(home, made()).status == 401
    assert not is_registered(home, ALICE)


def test_credentials_are_over_the_second_they_expire(home: Site) -> None:
    phone, given = home.peer(), of(ALICE, lives_s=2)
    challenge = asked(phone, "REGISTER", ALICE)
    assert proved(phone, "REGISTER", ALICE, challenge, given.user, given.password).status == 200
    while now_s() < given.until_s:
        time.sleep(0.05)
    assert register(home, given).status == 401


def test_nobody_registers_or_calls_under_another_agents_name(home: Site) -> None:
    assert register(home, of(ALICE), agent="bob").status == 403
    edge, phone, given = home.edge(), home.peer(), of(ALICE)
    home.put("steer", "4930111", edge.address)
    uri = "sip:4930111@everline"
    challenge = asked(phone, "INVITE", "bob", uri)
    said = proved(phone, "INVITE", "bob", challenge, given.user, given.password, uri)
    assert said.status == 403
    assert edge.receive(0.1) is None


def test_an_agent_who_has_a_password_may_use_either(home: Site) -> None:
    assert register(home, of("carol"), agent="carol").status == 200
    by_password = PhoneCredentials(user="carol", password="pw", until_s=0)  # noqa: S106 - a test's
    assert register(home, by_password, agent="carol").status == 200


def test_guesses_under_many_expiries_are_counted_as_guesses_of_one_agent(home: Site) -> None:
    guesser = home.peer()
    for number in range(10):
        challenge = asked(guesser, "REGISTER", ALICE)
        user = of(ALICE, lives_s=60 + number).user
        assert proved(guesser, "REGISTER", ALICE, challenge, user, "guess").status == 401
    aor = f"sip:{ALICE}@everline"
    guesser.send(guesser.request("REGISTER", "sip:everline", from_uri=aor, to_uri=aor))
    assert guesser.receive(0.3) is None


def test_a_barred_agent_neither_registers_nor_calls(home: Site) -> None:
    edge, phone, given = home.edge(), home.peer(), of(ALICE)
    home.put("steer", "4930111", edge.address)
    home.drop("ha1", ALICE)
    assert register(home, given).status == 401
    uri = "sip:4930111@everline"
    challenge = asked(phone, "INVITE", ALICE, uri)
    said = proved(phone, "INVITE", ALICE, challenge, given.user, given.password, uri)
    assert said.status == 407
    assert edge.receive(0.1) is None


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Site]:
    """Run a second site, with the same secrets and agents."""
    site = Site(tmp_path / "other")
    with running(site):
        site.put("meta", "tables", "1")
        site.put("ha1", ALICE, "-")
        site.put("sip_secret", CURRENT.name, CURRENT.text)
        yield site


def test_a_proof_overheard_at_one_site_is_no_use_at_another(home: Site, other: Site) -> None:
    phone, thief, given = home.peer(), other.peer(), of(ALICE)
    challenge = asked(phone, "REGISTER", ALICE)
    stolen = proved(thief, "REGISTER", ALICE, challenge, given.user, given.password)
    assert stolen.status == 401
    assert proved(phone, "REGISTER", ALICE, challenge, given.user, given.password).status == 200
    again = proved(thief, "REGISTER", ALICE, challenge, given.user, given.password)
    assert again.status == 401
    assert not is_registered(other, ALICE)
