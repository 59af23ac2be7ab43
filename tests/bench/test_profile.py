from __future__ import annotations

from loadtests.bench.profile import by_group, group_of


def test_the_innermost_part_that_is_known_has_the_time() -> None:
    stack = "/x/asyncio/events.py:Handle._run;/x/edge/sip/stack.py:SipStack.receive"
    assert group_of(f"{stack};/x/edge/sip/message.py:parse;/usr/lib/re.py:match") == (
        "SIP: reading messages"
    )
    assert group_of(f"{stack};/usr/lib/python3.11/enum.py:__call__") == (
        "SIP: transactions, dialogs, legs"
    )


def test_a_stack_of_nobody_known_is_other() -> None:
    assert group_of("/usr/lib/python3.11/runpy.py:run") == "other"


def test_samples_are_summed_the_largest_first() -> None:
    samples = {"/x/edge/acd/match.py:a": 3, "/x/edge/acd/rank.py:b": 4, "/x/state/codec.py:c": 5}
    assert by_group(samples) == {"matching": 7, "codec of records": 5}
