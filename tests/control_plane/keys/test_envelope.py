"""Sealed fields open in their own place, with their own key, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import SettingsError
from control_plane.keys.envelope import Place, SealError, blind, fresh_key, seal, unseal
from control_plane.keys.provider import LocalFile

KEY = fresh_key()
places = st.builds(Place, tenant=st.text(), customer=st.text(), field=st.text())


@given(text=st.text(), place=places)
def test_what_is_sealed_opens_in_its_place(text: str, place: Place) -> None:
    assert unseal(KEY, seal(KEY, text, place), place) == text


@given(here=places, there=places)
def test_what_is_moved_does_not_open(here: Place, there: Place) -> None:
    sealed = seal(KEY, "secret", here)
    if here != there:
        with pytest.raises(SealError):
            unseal(KEY, sealed, there)


@given(at=st.integers(0, 33), bit=st.integers(0, 7))
def test_what_is_changed_does_not_open(at: int, bit: int) -> None:
    place = Place(tenant="t", customer="c", field="f")
    sealed = bytearray(seal(KEY, "secret", place))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(SealError):
        unseal(KEY, bytes(sealed), place)
    with pytest.raises(SealError):
        unseal(fresh_key(), seal(KEY, "secret", place), place)


def test_the_blind_index_is_another_for_each_tenant_and_field() -> None:
    found = {blind(KEY, "AB 12", tenant, field) for tenant in "tu" for field in "fg"}
    assert len(found) == 4
    assert blind(KEY, "ab12", "t", "f") in found


async def test_a_wrapped_key_opens_for_its_tenant_and_customer_only(tmp_path: Path) -> None:
    LocalFile.make(tmp_path / "k")
    provider = LocalFile.load(tmp_path / "k")
    wrapped = await provider.wrap("t", "c", KEY)
    assert await provider.unwrap("t", "c", wrapped) == KEY
    for tenant, customer in (("t", "d"), ("u", "c")):
        with pytest.raises(SealError):
            await provider.unwrap(tenant, customer, wrapped)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    LocalFile.make(tmp_path / "k")
    (tmp_path / "k").chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        LocalFile.load(tmp_path / "k")


@pytest.mark.parametrize("text", ["", "short", "QUJD", "*" * 44])
def test_a_secret_of_another_shape_is_refused_without_being_quoted(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "k"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(SettingsError, match="base64 of 32 bytes"):
        LocalFile.load(file)
