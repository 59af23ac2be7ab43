from __future__ import annotations

import hashlib
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import configuration as module
from state.codec import decode_at, encode
from state.configuration import Configuration, ha1_of, parse_configuration
from state.errors import ConfigurationError
from state.model import (
    Agent,
    AgentId,
    AttributeNeed,
    Did,
    DidNumber,
    Limit,
    Queue,
    QueueId,
    Scope,
    ScoreWeights,
    Site,
    SiteId,
    SkillId,
    SkillNeed,
    Step,
    Strategy,
    Trunk,
    TrunkId,
    TurnAway,
)
from tests.state.records import unhurried

WHOLE = """
[sites.a]
name = "Alpha"
sip = "198.18.1.10:5060"
distance_ms = { b = 8 }

[sites.b]
sip = "[2001:db8::1]:5060"
draining = true

[trunks.carrier]
addresses = ["198.18.10.10", "2001:DB8::0:2"]

[queues.sales]
needs = { sales = 3, german = 1 }
priority = 2
ring_timeout_s = 12
weights = { load = 0.5 }

[dids."+4930100"]
queue = "sales"
greeting = "hello"

[agents.anna]
name = "Anna"
site = "a"
skills = { sales = 7 }
password = "open sesame"

[agents.bert]
site = "b"
skills = {}
ha1 = "0123456789abcdef0123456789abcdef"
"""


def problems(text: str) -> str:
    """Return what is wrong with a configuration, one line each."""
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text, "lab.toml")
    assert caught.value.source == "lab.toml"
    assert all("\n" not in problem for problem in caught.value.problems)
    return "\n".join(caught.value.problems)


def test_a_whole_configuration_is_read_as_it_says() -> None:
    german = SkillNeed(skill=SkillId("german"), level=1)
    assert parse_configuration(WHOLE) == Configuration(
        sites=(
            Site(
                id=SiteId("a"),
                name="Alpha",
                sip="198.18.1.10:5060",
                distance_ms={SiteId("b"): 8},
            ),
            Site(id=SiteId("b"), name="b", sip="[2001:db8::1]:5060", draining=True),
        ),
        trunks=(Trunk(id=TrunkId("carrier"), addresses=("198.18.10.10", "2001:db8::2")),),
        queues=(
            Queue(
                id=QueueId("sales"),
                needs=(SkillNeed(skill=SkillId("sales"), level=3), german),
                priority=2,
                ring_timeout_s=12.0,
                weights=ScoreWeights(load=0.5),
            ),
        ),
        dids=(Did(number=DidNumber("+4930100"), queue=QueueId("sales"), greeting="hello"),),
        agents=(
            Agent(
                id=AgentId("anna"),
                name="Anna",
                site=SiteId("a"),
                skills={SkillId("sales"): 7},
                ha1=hashlib.md5(b"anna:everline:open sesame").hexdigest(),  # noqa: S324 - RFC 2617
            ),
            Agent(
                id=AgentId("bert"),
                name="bert",
                site=SiteId("b"),
                skills={},
                ha1="0123456789abcdef0123456789abcdef",
            ),
        ),
    )


def test_the_example_in_the_module_is_a_configuration() -> None:
    assert module.__doc__ is not None
    example = re.findall(r"^    (.*)$", module.__doc__, re.MULTILINE)
    text = "\n".join(example).replace("{ b = 8, c = 20 }", "{}").replace("{ a = 3, b = 1 }", "{}")
    assert len(parse_configuration(text).by_key()) == 9


def test_nothing_is_a_configuration_of_nothing() -> None:
    assert parse_configuration("") == Configuration()


def test_every_record_stands_under_its_key_and_can_be_written() -> None:
    records = parse_configuration(WHOLE).by_key()
    assert len(records) == 7
    assert all(decode_at(key, encode(value)) == value for key, value in records.items())


def test_ha1_is_that_of_the_rfc_with_our_realm() -> None:
    assert ha1_of("anna", "pässword") == hashlib.md5("anna:everline:pässword".encode()).hexdigest()  # noqa: S324 - RFC 2617


def test_a_password_is_in_no_value_that_comes_out() -> None:
    assert "sesame" not in repr(parse_configuration(WHOLE))


SITE = '[sites.a]\nsip = "h:1"\n'
QUEUE = "[queues.q]\nneeds = {}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sites", r"no TOML: .*end of document"),
        ("sites = 3", r"sites is no table of tables: write \[sites\.ID\]"),
        ("[sites]\na = 3", r"\[sites\.a\] Expected `object`, got `int`"),
        ("[sitees.a]\nx = 1", r"\[sitees\] is not known here: use sites, trunks"),
        ('[sites."a b"]\nsip = "h:1"', r"'a b' is no id for sites"),
        ("[sites.a]\nname = 'A'", r"\[sites\.a\] .*missing required field `sip`"),
        (SITE + "draning = true", r"\[sites\.a\] .*unknown field `draning`"),
        ('[sites.a]\nsip = "h"', r"sip = 'h' is no host:port"),
        ('[sites.a]\nsip = ":5060"', r"is no host:port"),
        ('[sites.a]\nsip = "h:0"', r"is no host:port"),
        ('[sites.a]\nsip = "h:65536"', r"is no host:port"),
        ('[sites.a]\nsip = "h:²"', r"is no host:port"),
        ('[sites.a]\nsip = "a b:1"', r"\[sites\.a\] sip = 'a b:1' is no host:port: a host is"),
        (
            '[trunks.t]\naddresses = ["::1"]\nsip = "x 0,y:1"\ndial_out = ["+49"]',
            r"\[trunks\.t\] sip = 'x 0,y:1' is no host:port",
        ),
        (SITE + "distance_ms = { z = 3 }", r"distance_ms names the site 'z', which is not there"),
        (SITE + "distance_ms = { a = -3 }", r"\[sites\.a\] Expected `int` >= 0"),
        ("[trunks.t]\naddresses = []", r"\[trunks\.t\] .*length >= 1"),
        ('[trunks.t]\naddresses = ["1.2.3.4:5060"]', r"'1\.2\.3\.4:5060' does not appear"),
        (
            '[trunks.t]\naddresses = ["::1"]\n[trunks.u]\naddresses = ["0:0::1"]',
            r"\[trunks\.u\] address ::1 belongs to trunk 't' already",
        ),
        ("[queues.q]\nneeds = { s = 0 }", r"\[queues\.q\] Expected `int` >= 1"),
        ("[queues.q]\nneeds = { s = 11 }", r"\[queues\.q\] Expected `int` <= 10"),
        ('[queues.q]\nneeds = { "s s" = 1 }', r"'s s' is no id for a skill"),
        (QUEUE + "ring_timeout_s = 0", r"\[queues\.q\] Expected `float` > 0"),
        (QUEUE + "wrap_up_s = nan", r"\[queues\.q\] "),
        (QUEUE + 'music = "../secret"', r"\[queues\.q\] Expected `str` matching"),
        (QUEUE + 'music = "waltz\\n"', r"\[queues\.q\] Expected `str` matching"),
        (QUEUE + 'tenant = "main\\n"', r"\[queues\.q\] Expected `str` matching"),
        ('[sites.a]\nsip = "h:1\\n"', r"is no host:port"),
        ('[trunks.t]\naddresses = ["1.2.3.4\\n"]', r"is no address"),
        ('[trunks.t]\naddresses = ["fe80::1%eth0\\n"]', r"is no address"),
        (QUEUE + "weights = { fit = 1 }", r"\[queues\.q\] .*unknown field `fit`"),
        (QUEUE + "weights = { distance = -1 }", r"\[queues\.q\] Expected `float` >= 0"),
        (QUEUE + "any_of = [{}]", r"\[queues\.q\] Expected `object` of length >= 1"),
        (QUEUE + 'any_of = [{ "s s" = 1 }]', r"'s s' is no id for a skill"),
        (QUEUE + "attributes = { tier = [] }", r"\[queues\.q\] Expected `array` of length >= 1"),
        (QUEUE + 'strategy = "random"', r"\[queues\.q\] Invalid enum value 'random'"),
        (QUEUE + "aging_s = 0", r"\[queues\.q\] Expected `float` > 0"),
        (QUEUE + "steps = [{ lower = { s = 1 } }]", r"missing required field `after_s`"),
        (QUEUE + "steps = [{ after_s = 1, drops = [] }]", r"unknown field `drops`"),
        (QUEUE + 'steps = [{ after_s = 1, drop = ["s s"] }]', r"'s s' is no id for a skill"),
        (QUEUE + "steps = [{ after_s = 1, raise_priority = -1 }]", r"Expected `int` >= 0"),
        (
            QUEUE + 'steps = [{ after_s = 9, overflow = "q", turn_away = "refuse" }]',
            r"step after 9 s: give overflow or turn_away, not both",
        ),
        (
            QUEUE + 'steps = [{ after_s = 1, overflow = "r" }]',
            r"\[queues\.q\] overflow names the queue 'r', which is not there",
        ),
        (
            QUEUE + 'longest_queue = { most = 5, overflow = "q" }',
            r"\[queues\.q\] overflow leads to the queue itself",
        ),
        (QUEUE + "longest_queue = { most = -1 }", r"Expected `float` >= 0"),
        (
            QUEUE + 'longest_wait_s = { most = 1, turn_away = "shout" }',
            r"Invalid enum value 'shout'",
        ),
        (
            QUEUE + 'scope = { sites = ["z"] }',
            r"\[queues\.q\] scope names the site 'z', which nobody is of",
        ),
        (
            QUEUE + 'steps = [{ after_s = 1, scope = { teams = ["red"] } }]',
            r"\[queues\.q\] scope names the team 'red', which nobody is of",
        ),
        ('[dids.1]\nqueue = "q"', r"\[dids\.1\] queue 'q' is not there"),
        (
            f'[agents.x]\nsite = "z"\nskills = {{}}\nha1 = "{"0" * 32}"',
            r"\[agents\.x\] site 'z' is not there",
        ),
        (SITE + '[agents.-x]\nsite = "a"\nskills = {}', r"'-x' is no id for an agent: .* - or \."),
        (SITE + '[agents.".x"]\nsite = "a"\nskills = {}', r"'\.x' is no id for an agent"),
        (SITE + '[agents.x]\nsite = "a"\nskills = {}\nha1 = ""', r"ha1 is not 32 lower-case"),
        (
            SITE + '[agents.x]\nsite = "a"\nskills = {}\nha1 = "1"\npassword = "p"',
            r"give password or ha1, one of the two",
        ),
        (SITE + '[agents.x]\nsite = "a"\nskills = {}\nha1 = "XYZ"', r"ha1 is not 32 lower-case"),
    ],
)
def test_each_mistake_is_named_with_its_place(text: str, expected: str) -> None:
    assert re.search(expected, problems(text))


def test_all_mistakes_are_told_at_once() -> None:
    told = problems('[sites.a]\n[trunks.t]\naddresses = "x"\n[dids.d]\nqueue = "q"\nx = 1')
    assert [line.split("]")[0] for line in told.splitlines()] == [
        "[sites.a",
        "[trunks.t",
        "[dids.d",
    ]


def test_no_mistake_tells_a_password() -> None:
    assert "sesame" not in problems(WHOLE.replace('"open sesame"', '["open sesame"]'))


@unhurried
@given(st.text(max_size=50) | st.text("[]{}=.\"'ab1\n", max_size=50))
def test_any_text_is_a_configuration_or_an_error(text: str) -> None:
    with suppress(ConfigurationError):
        parse_configuration(text)


RULES = """
[sites.a]
sip = "h:5060"

[queues.help]
needs = {}

[queues.sales]
needs = { sales = 3 }
any_of = [{ german = 2, dutch = 4 }]
attributes = { tier = "gold", language = ["de", "en"] }
scope = { sites = ["a"], teams = ["red"], employers = [""] }
strategy = "round_robin"
weights = { distance = 2 }
aging_s = 30
aging_ceiling = 7
longest_queue = { most = 50, overflow = "help" }
longest_wait_s = { most = 600, turn_away = "callback" }
longest_estimate_s = { most = 300 }

[[queues.sales.steps]]
after_s = 40
overflow = "help"
scope = {}

[[queues.sales.steps]]
after_s = 20
lower = { sales = 1 }
drop = ["german"]
drop_attributes = ["tier"]
drop_preference = true
raise_priority = 2

[agents.anna]
site = "a"
skills = { sales = 7 }
attributes = { language = ["de", "en"], tier = "gold" }
team = "red"
pause_after = 3
password = "open sesame"
"""


def test_an_agents_channels_are_read_and_nobody_talks_in_two_calls() -> None:
    text = RULES.replace("pause_after = 3", "channels = { voice = N, chat = 3 }")
    (anna,) = parse_configuration(text.replace("N", "0")).agents
    assert anna.channels == {"voice": 0, "chat": 3}
    with pytest.raises(ConfigurationError, match="voice is 0 or 1"):
        parse_configuration(text.replace("N", "2"))
    with pytest.raises(ConfigurationError, match="telepathy"):
        parse_configuration(RULES.replace("pause_after = 3", "channels = { telepathy = 1 }"))


def test_the_rules_of_a_queue_are_read_as_they_say() -> None:
    configuration = parse_configuration(RULES)
    queue = next(each for each in configuration.queues if each.id == "sales")
    tier = AttributeNeed(name="tier", value="gold")
    german, english = (AttributeNeed(name="language", value=word) for word in ("de", "en"))
    sales, polyglot = SkillNeed(skill=SkillId("sales"), level=3), SkillId("german")
    help_ = QueueId("help")
    assert queue == Queue(
        id=QueueId("sales"),
        needs=(sales,),
        any_of=((SkillNeed(skill=polyglot, level=2), SkillNeed(skill=SkillId("dutch"), level=4)),),
        attributes=(tier, german, english),
        scope=Scope(sites=(SiteId("a"),), teams=("red",), employers=("",)),
        strategy=Strategy.ROUND_ROBIN,
        weights=ScoreWeights(distance=2.0),
        aging_s=30.0,
        aging_ceiling=7,
        longest_queue=Limit(most=50, overflow=help_),
        longest_wait_s=Limit(most=600, turn_away=TurnAway.CALLBACK),
        longest_estimate_s=Limit(most=300),
        steps=(
            Step(
                after_s=20.0,
                lower=(SkillNeed(skill=SkillId("sales"), level=1),),
                drop=(polyglot,),
                drop_attributes=("tier",),
                drop_preference=True,
                raise_priority=2,
            ),
            Step(after_s=40.0, overflow=help_, scope=Scope()),
        ),
    )
    (anna,) = configuration.agents
    assert anna.attributes == {"language": ("de", "en"), "tier": ("gold",)}
    assert (anna.team, anna.employer, anna.pause_after) == ("red", "", 3)
    for key, record in configuration.by_key().items():
        assert decode_at(key, encode(record)) == record


OFFERS = """
[trunks.t]
addresses = ["192.0.2.1"]
sip = "192.0.2.1:5060"
dial_out = ["+49"]
[queues.sales]
needs = {}
call_back = { trunk = "t", %s }
"""


def test_who_takes_an_offer_to_be_called_back_hears_our_own_words_if_no_others_are_named() -> None:
    (queue,) = parse_configuration(OFFERS % 'offer = "callback"', "x").queues
    assert queue.call_back is not None
    assert (queue.call_back.offer, queue.call_back.notice) == ("callback", "called_back")
    assert (queue.call_back.key, queue.call_back.wait_s) == ("1", 5.0)
    (queue,) = parse_configuration(OFFERS % 'offer = "callback", notice = "bye"', "x").queues
    assert queue.call_back is not None
    assert queue.call_back.notice == "bye"
    (queue,) = parse_configuration(OFFERS % "tries = 2", "x").queues
    assert queue.call_back is not None
    assert (queue.call_back.offer, queue.call_back.notice) == (None, None)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ('notice = "called_back"', "a notice is for who has taken an offer"),
        ('offer = "callback", key = "11"', "key"),
        ('offer = "callback", wait_s = 60', "wait_s"),
        ('offer = "../secret"', "offer"),
    ],
)
def test_an_offer_that_makes_no_sense_is_refused(fields: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        parse_configuration(OFFERS % fields, "x")
