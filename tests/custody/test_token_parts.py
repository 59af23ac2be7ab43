"""A key provider in a real PKCS#11 token: SoftHSM2, of Debian."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from custody import keyring
from custody.errors import KeyFileError, NoKeyError, TamperedError
from custody.providers import LocalFile
from custody.token import Token
from custody.wrapping import recipient_of

pytestmark = pytest.mark.parts
MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")


@pytest.fixture(scope="module")
def pin_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # One folder for the module: the library is loaded once a process, and reads this but then.
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
    for label in ("site-a", "site-b"):
        words = ("--init-token", "--free", "--label", label, "--pin", "31415", "--so-pin", "2718")
        subprocess.run(["softhsm2-util", *words], check=True, capture_output=True)
    pin = folder / "pin"
    pin.write_text("31415\n")
    pin.chmod(0o600)
    yield pin
    patch.undo()


async def test_a_token_opens_what_was_wrapped_for_its_public_half_alone(pin_file: Path) -> None:
    token = Token.load(MODULE, "site-a", pin_file)
    public = recipient_of(token.recipient().text)
    wrapped = public.wrap("main", "k1", b"a private key")
    assert await token.unwrap("main", "k1", wrapped) == b"a private key"
    for tenant, subject in (("other", "k1"), ("main", "k2")):
        with pytest.raises(TamperedError):
            await token.unwrap(tenant, subject, wrapped)
    with pytest.raises(TamperedError, match="generation"):
        await Token.load(MODULE, "site-b", pin_file).unwrap("main", "k1", wrapped)


async def test_a_recording_key_opens_with_a_token_or_with_another_sites_file(
    pin_file: Path,
) -> None:
    token, file = Token.load(MODULE, "site-a", pin_file), LocalFile(b"b" * 32)
    key = keyring.make("main", keyring.recipients({"a": token, "b": file}), 1)
    private = await keyring.open_private(key, {"a": token})
    assert private == await keyring.open_private(key, {"b": file})
    assert private not in key.wrapped["a"].sealed


async def test_a_tokens_rotation_makes_a_key_pair_and_destroys_the_older(pin_file: Path) -> None:
    token = Token.load(MODULE, "site-b", pin_file)
    before = token.recipient().wrap("main", "k1", b"private")
    phases = [token.is_rotating]
    token.begin_rotation()
    token.begin_rotation()
    after = token.recipient().wrap("main", "k1", b"private")
    phases.append(token.is_rotating)
    assert before.under != after.under
    assert await token.unwrap("main", "k1", before) == b"private"
    token.end_rotation()
    again = Token.load(MODULE, "site-b", pin_file)
    assert [*phases, again.is_rotating] == [False, True, False]
    assert await again.unwrap("main", "k1", after) == b"private"
    with pytest.raises(TamperedError):
        await again.unwrap("main", "k1", before)
    changed = bytes([after.sealed[0] ^ 1]) + after.sealed[1:]
    with pytest.raises(TamperedError):
        await again.unwrap("main", "k1", type(after)(under=after.under, sealed=changed))


def test_what_cannot_be_opened_says_why(pin_file: Path) -> None:
    with pytest.raises(NoKeyError, match="no token 'elsewhere'"):
        Token.load(MODULE, "elsewhere", pin_file)
    with pytest.raises(NoKeyError, match="does not open"):
        Token(MODULE, "site-a", "wrong")
    pin_file.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Token.load(MODULE, "site-a", pin_file)
    pin_file.chmod(0o600)
