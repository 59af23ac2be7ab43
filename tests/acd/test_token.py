"""The order of tokens: with a quorum, without one, and across the seam between the two."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from edge.acd.token import Token, alone_token, store_epoch, token_of
from state.model import AgentId, CallId, EdgeId, Entry, Offer, OfferState

TOKENS = st.builds(Token, epoch=st.integers(0, 9), revision=st.integers(0, 10**6))
EDGES = ("a1", "a2")


@given(TOKENS, st.integers(0, 4).map(lambda n: 2 * n + 1))
def test_a_token_made_alone_is_above_all_that_the_gate_has_seen(seen: Token, epoch: int) -> None:
    made = alone_token(seen, epoch)
    assert made.is_alone
    assert made > seen
    assert made.epoch > epoch


@given(TOKENS, st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_stores_next_epoch_is_above_every_token_of_the_one_seen(
    seen: Token, revision: int, count: int
) -> None:
    alone = alone_token(seen, 1)
    after = Token(epoch=store_epoch(alone.epoch), revision=revision)
    assert not after.is_alone
    assert after > replace(alone, revision=alone.revision + count)


def test_an_offer_is_rung_by_its_create_revision_or_by_what_it_was_granted_under() -> None:
    offer = Offer(
        agent=AgentId("ann"),
        call=CallId("c"),
        edge=EdgeId("a1"),
        state=OfferState.RINGING,
        since_ms=0,
        epoch=3,
    )
    entry = Entry(value=offer, create_revision=70, mod_revision=71, seen_s=0.0)
    assert token_of(entry) == Token(epoch=3, revision=70)
    alone = replace(offer, epoch=4, granted=2)
    entry = Entry(value=alone, create_revision=1 << 62, mod_revision=1 << 62, seen_s=0.0)
    assert token_of(entry) == Token(epoch=4, revision=2)


class Seam(RuleBasedStateMachine):
    """One agent, their gate, a store, and two edges of the agent's site that may be cut off.

    Every INVITE may come late, and in any order. The gate's rule is that of `edge/kemi/gate.py`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.revision = 10
        self.presence_epoch = 1
        self.highest = Token(epoch=0, revision=0)
        self.held_by: Token | None = None
        self.under_way: list[Token] = []
        self.read: dict[str, Token] = {}
        self.let_through: list[Token] = []

    @rule()
    def the_store_grants(self) -> None:
        """Let an edge of any site reserve: the majority may not see that the site is alone."""
        self.revision += 1
        self.under_way.append(Token(epoch=self.presence_epoch, revision=self.revision))

    @rule(edge=st.sampled_from(EDGES))
    def an_edge_reads_the_gate(self, edge: str) -> None:
        """Without a quorum; what it makes of that it may send much later."""
        self.read[edge] = self.highest

    @precondition(lambda self: self.read)
    @rule(data=st.data())
    def an_edge_grants_alone(self, data: st.DataObject) -> None:
        """Let it reserve, by what it has read."""
        edge = data.draw(st.sampled_from(sorted(self.read)))
        self.under_way.append(alone_token(self.read.pop(edge), self.presence_epoch))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def an_invite_comes(self, data: st.DataObject) -> None:
        """Let any come, as late as it may, and the gate decide."""
        token = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(token)
        if token <= self.highest or self.held_by is not None:
            return
        overtaken = [seen for seen in self.let_through if seen >= token]
        assert not overtaken, "a token older than one that was let through rings"
        self.highest = self.held_by = token
        self.let_through.append(token)

    @precondition(lambda self: self.held_by is not None)
    @rule()
    def the_call_ends(self) -> None:
        """Free the agent."""
        self.held_by = None

    @rule()
    def the_home_edge_writes_the_presence(self) -> None:
        """With a quorum, whenever it comes to it."""
        self.presence_epoch = max(self.presence_epoch, store_epoch(self.highest.epoch))
        self.revision += 1

    @precondition(lambda self: self.highest.is_alone)
    @rule()
    def what_the_store_granted_before_never_rings(self) -> None:
        """Refuse for good what is older than a token made alone that was let through."""
        older = (t for t in self.under_way if not t.is_alone and t.epoch <= self.presence_epoch)
        if store_epoch(self.highest.epoch) > self.presence_epoch:
            assert all(token < self.highest for token in older)

    @invariant()
    def the_gate_only_rises(self) -> None:
        """Let no token through twice, nor one below another."""
        assert self.let_through == sorted(set(self.let_through))

    @precondition(lambda self: self.presence_epoch >= self.highest.epoch)
    @invariant()
    def once_the_presence_says_so_the_store_can_ring_again(self) -> None:
        """Let nobody be locked out by what was done alone."""
        if store_epoch(self.highest.epoch) <= self.presence_epoch:
            assert Token(epoch=self.presence_epoch, revision=self.revision + 1) > self.highest


TestSeam = Seam.TestCase
TestSeam.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
