"""Which rules make a broken WAN true."""

from __future__ import annotations

import pytest

from drills.lab import network
from drills.lab.errors import NetworkError
from drills.lab.wan_rules import (
    SOUND,
    Direction,
    Link,
    WanState,
    netem_script,
    nft_script,
    relay_rules,
    relay_table,
)

ADDRESSES = {"a": "198.18.1.10", "b": "198.18.2.10", "c": "198.18.3.10"}
INTERFACES = {"a": "w-a", "b": "w-b", "c": "w-c"}
THERE = Direction("a", "b")
BACK = Direction("b", "a")


def test_a_link_that_is_sound_again_leaves_nothing_in_the_state() -> None:
    broken = WanState().with_link(THERE, Link(cut=True))
    assert broken.with_link(THERE, SOUND) == WanState()


def test_the_two_directions_are_apart() -> None:
    state = WanState().with_link(THERE, Link(loss_pct=5))
    assert state.link(THERE) == Link(loss_pct=5)
    assert state.link(BACK) == SOUND


def test_a_sound_wan_has_no_addresses_in_its_rules() -> None:
    assert "198.18" not in nft_script(WanState(), ADDRESSES)


def test_a_cut_names_source_and_target_in_that_order() -> None:
    script = nft_script(WanState(links={THERE: Link(cut=True)}), ADDRESSES)
    assert "elements = { 198.18.1.10 . 198.18.2.10 };" in script
    assert "198.18.2.10 . 198.18.1.10" not in script


def test_an_isolated_host_needs_one_element() -> None:
    script = nft_script(WanState(isolated=frozenset({"c"})), ADDRESSES)
    assert script.count("198.18.3.10") == 1


def test_of_a_mute_host_sip_alone_arrives() -> None:
    script = nft_script(WanState(mute=frozenset({"c"})), ADDRESSES)
    assert "set mute { type ipv4_addr; elements = { 198.18.3.10 }; }" in script
    assert "ip saddr @mute udp sport != 5060-5099 udp dport != 5060-5099 drop" in script
    assert "ip daddr @mute" not in script


@pytest.mark.parametrize(("loss_pct", "share"), [(0.01, 100), (3, 30_000), (99.9, 999_000)])
def test_loss_is_a_share_of_a_million(loss_pct: float, share: int) -> None:
    script = nft_script(WanState(links={THERE: Link(loss_pct=loss_pct)}), ADDRESSES)
    assert (
        f"ip saddr 198.18.1.10 ip daddr 198.18.2.10 numgen random mod 1000000 < {share} drop"
        in script
    )


def test_total_loss_drops_without_a_throw() -> None:
    script = nft_script(WanState(links={THERE: Link(loss_pct=100)}), ADDRESSES)
    assert "ip saddr 198.18.1.10 ip daddr 198.18.2.10 drop" in script


def test_the_relay_gets_slow_directions_only_and_never_its_own_packets_again() -> None:
    state = WanState(
        links={THERE: Link(delay_ms=40, jitter_ms=5), BACK: Link(cut=True, loss_pct=1)}
    )
    assert relay_table(state, ADDRESSES) == [["198.18.1.10", "198.18.2.10", 40, 5]]
    assert relay_rules(state, ADDRESSES, INTERFACES) == (
        "rule add from 198.18.1.10 to 198.18.2.10 iif w-a lookup 100 pref 100"
    )


def test_netem_hangs_one_band_a_source_before_the_target() -> None:
    state = WanState(links={THERE: Link(delay_ms=40), Direction("c", "b"): Link(delay_ms=80)})
    lines = netem_script(state, ADDRESSES, INTERFACES).splitlines()
    assert all("dev w-b" in line for line in lines)
    assert sum("netem" in line for line in lines) == 2
    assert [line.split()[-1] for line in lines if line.startswith("filter")] == ["1:2", "1:3"]


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (Link(loss_pct=-1), "loss is"),
        (Link(loss_pct=100.5), "loss is"),
        (Link(delay_ms=-1), "delay is"),
        (Link(delay_ms=20_000), "delay is"),
        (Link(delay_ms=10, jitter_ms=11), "jitter is"),
        (Link(jitter_ms=1), "jitter is"),
    ],
)
def test_senseless_figures_are_named(link: Link, why: str) -> None:
    assert (link.wrong_because() or "").startswith(why)


def test_sensible_figures_pass() -> None:
    assert Link(delay_ms=100, jitter_ms=100, loss_pct=100).wrong_because() is None


def test_a_tool_that_does_not_end_is_an_error_of_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "TOOL_TIMEOUT_S", 0.05)
    with pytest.raises(NetworkError, match=r"sleep 5: has not ended in 0\.05 s"):
        network.run_tool(("sleep", "5"))
