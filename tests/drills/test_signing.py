"""Who signs a folder's evidence, and how others check a copy of it by the public key alone."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from drills.cli.app import main
from drills.cli.drill_keys import see_that_it_signs
from drills.cli.errors import CommandError, Exit
from drills.due import Due
from drills.sealing import FIRST, TamperedError, fingerprint
from drills.shelf import EVIDENCE, PIECE_BYTES, Shelf, tamper
from drills.signing import PRIVATE, PUBLIC, SigningError, given, parse
from tests.drills.pieces import FILES, piece

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()


def pem(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def filled(home: Path, *runs: str) -> Shelf:
    shelf = Shelf(home)
    for run in runs:
        shelf.put(piece(run, shelf.last_hash()), FILES, "page")
    return shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return filled(tmp_path / "made", "r1", "r2", "r3")


@pytest.fixture
def copy(shelf: Shelf, tmp_path: Path) -> Path:
    """Return what an auditor gets: all but the private key."""
    return Path(
        shutil.copytree(shelf.home, tmp_path / "copy", ignore=shutil.ignore_patterns(PRIVATE))
    )


def names(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


def report(keep: Path, *words: str) -> int:
    return main(["drill", "report", "--keep", str(keep), *words])


# ---- the folder that evidence is added to --------------------------------------------------------


def test_the_first_piece_makes_a_key_and_its_public_half_beside_it(shelf: Shelf) -> None:
    private, public = shelf.home / PRIVATE, shelf.home / PUBLIC
    own = Ed25519PrivateKey.from_private_bytes(private.read_bytes()).public_key()
    assert public.read_text() == f"{own.public_bytes_raw().hex()}\n"
    assert private.stat().st_mode & 0o777 == 0o600
    sealed = json.loads((shelf.folder("r1") / EVIDENCE).read_bytes())
    assert sealed["public_key"] == public.read_text().strip() == shelf.public_key()


def test_a_shelf_of_before_there_was_a_public_half_is_read_and_gets_one_with_the_next_piece(
    shelf: Shelf,
) -> None:
    (shelf.home / PUBLIC).unlink()
    assert shelf.verify() == 3
    assert not (shelf.home / PUBLIC).exists(), "reading writes nothing"
    shelf.put(piece("r4", shelf.last_hash()), FILES, "page")
    assert (shelf.home / PUBLIC).read_text().strip() == shelf.public_key()
    assert shelf.verify() == 4


def test_whoever_makes_the_key_at_the_same_time_goes_by_the_same_one(tmp_path: Path) -> None:
    def key(_: int) -> str:
        shelf = Shelf(tmp_path)
        shelf.ensure_key()
        return shelf.public_key()

    with ThreadPoolExecutor(8) as labs:
        keys = set(labs.map(key, range(16)))
    assert len(keys) == 1
    assert names(tmp_path) == [PRIVATE, PUBLIC]
    assert (tmp_path / PRIVATE).stat().st_mode & 0o777 == 0o600


def test_a_disk_that_takes_no_key_leaves_none_that_nobody_could_read(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(CommandError, match="takes no evidence: File too large"):
            see_that_it_signs(Shelf(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []
    see_that_it_signs(Shelf(tmp_path))
    assert len(Shelf(tmp_path).public_key()) == 64


def test_a_disk_without_room_for_a_piece_is_found_before_anything_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(left: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=left))

    free(PIECE_BYTES - 1)
    with pytest.raises(CommandError, match=r"takes no evidence: .* of room") as error:
        see_that_it_signs(Shelf(tmp_path))
    assert error.value.code is Exit.FAILED
    free(PIECE_BYTES)
    see_that_it_signs(Shelf(tmp_path))


def test_to_a_copy_nothing_is_added_and_no_key_is_made_for_it(copy: Path) -> None:
    before = names(copy)
    shelf = Shelf(copy)
    with pytest.raises(SigningError, match=r"nothing can be added .* \(--keep\)"):
        shelf.put(piece("r4", shelf.last_hash()), FILES, "page")
    (copy / PUBLIC).unlink()
    before.remove(PUBLIC)
    with pytest.raises(CommandError, match="nothing can be added"):
        see_that_it_signs(shelf)
    assert names(copy) == before


def test_a_drill_on_a_copy_is_refused_before_anything_is_broken(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_some(*_: object) -> tuple[int, list[str]]:
        raise AssertionError("it was to be refused")

    monkeypatch.setattr("drills.cli.drill.run_some", run_some)
    monkeypatch.setattr("drills.cli.drill_all.run_some", run_some)
    for words in (("run", "site_killed"), ("all", "site_killed")):
        assert main(["drill", *words, "--keep", str(copy)]) == Exit.FAILED
        assert "nothing can be added to its chain" in capsys.readouterr().err


def test_halves_that_do_not_belong_together_are_found(shelf: Shelf) -> None:
    (shelf.home / PUBLIC).write_text(pem(OTHER))
    with pytest.raises(SigningError, match=r"key\.pub is not the public half"):
        shelf.verify()
    with pytest.raises(SigningError, match=r"key\.pub is not the public half"):
        shelf.put(piece("r4", shelf.last_hash()), FILES, "page")


@pytest.mark.parametrize("name", [PRIVATE, PUBLIC])
def test_a_key_that_is_none_is_named(shelf: Shelf, name: str) -> None:
    (shelf.home / name).write_bytes(b"\xff" * 7)
    with pytest.raises(SigningError, match=rf"{shelf.home}/{name} (is no key|holds no text)"):
        shelf.verify()


# ---- a copy of it --------------------------------------------------------------------------------


def test_a_copy_without_the_private_key_verifies_and_is_left_as_it_was(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(copy)
    shown = Shelf(copy)
    assert shown.verify() == 3
    copy.chmod(0o500)
    try:
        assert report(copy, "--verify") == Exit.OK
    finally:
        copy.chmod(0o700)
    said = capsys.readouterr()
    assert "3 pieces of evidence are as they were written" in said.err
    assert f"fingerprint {fingerprint(shown.public_key())}, {copy}/key.pub" in said.out
    assert "could sign all of it anew" in said.out
    assert f"last hash of the chain (r3):\n  {shown.last_hash()}\n" in said.out
    assert names(copy) == before


@pytest.mark.parametrize("form", ["file", "digits", "pem"])
def test_who_has_the_key_from_elsewhere_trusts_nothing_in_the_folder(
    form: str, copy: Path, shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public, file = shelf.public_key(), tmp_path / "from_olga"
    own = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    file.write_text(pem(own) if form == "pem" else f"{public}\n")
    (copy / PUBLIC).unlink()
    words = public.upper() if form == "digits" else str(file)
    assert report(copy, "--verify", "--public-key", words) == Exit.OK
    said = capsys.readouterr().out
    assert said.count(fingerprint(public)) == 1
    assert f", {'--public-key' if form == 'digits' else file}" in said
    assert "anew" not in said


def test_a_wrong_key_fails_and_both_are_named(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = OTHER.public_bytes_raw().hex()
    for words in (("--verify",), ()):
        assert report(copy, *words, "--public-key", public) == Exit.FAILED
        said = capsys.readouterr().err
        assert fingerprint(public) in said
        assert fingerprint(Shelf(copy).public_key()) in said
    # Whoever has signed all of it anew has put their own key there.
    forged = filled(copy.parent / "forged", "r1", "r2", "r3")
    assert forged.verify() == 3
    assert report(forged.home, "--verify", "--public-key", str(copy / PUBLIC)) == Exit.FAILED


def test_without_any_key_nobody_says_that_evidence_does_not_stand(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / PUBLIC).unlink()
    assert report(copy) == Exit.FAILED
    said = capsys.readouterr().err
    assert f"{copy} has neither key.pub nor key" in said
    assert "--public-key" in said
    monkeypatch.setattr("drills.cli.drill.Shelf", lambda: Shelf(copy))
    assert main(["drill", "list"]) == Exit.FAILED
    assert "does not stand" not in capsys.readouterr().err
    tried, found, fallen = tamper(Shelf(copy), ["r1"])
    assert (tried, found, set(fallen)) == (0, 0, {"r1"}), (
        "of what cannot be checked nothing follows"
    )
    assert names(copy) == sorted({*names(copy)} - {PRIVATE, PUBLIC})


@pytest.mark.parametrize("file", [EVIDENCE, "callers.pcap"])
def test_one_changed_byte_in_a_copy_is_found(
    file: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "r2" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert report(copy, "--verify") == Exit.FAILED
    assert "evidence does not stand: r2: " in capsys.readouterr().err


# ---- the end of the chain ------------------------------------------------------------------------


def test_that_the_newest_piece_was_taken_away_is_found_by_who_kept_its_hash(
    copy: Path, shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, before = shelf.last_hash(), shelf.hash_of("r2")
    assert report(copy, "--last-hash", kept.upper()) == Exit.OK
    assert report(copy, "--last-hash", before) == Exit.OK, "past it"
    capsys.readouterr()
    shutil.rmtree(copy / "r3")
    assert report(copy, "--verify") == Exit.OK, "the chain alone cannot know"
    capsys.readouterr()
    assert report(copy, "--last-hash", kept) == Exit.FAILED
    said = capsys.readouterr().err
    assert f"the piece with the hash {kept} is missing" in said
    assert f"the newest here is r2 ({before})" in said
    for run in ("r1", "r2"):
        shutil.rmtree(copy / run)
    assert report(copy, "--last-hash", kept) == Exit.FAILED
    assert f"no piece is left in {copy}" in capsys.readouterr().err


def test_a_drill_ends_with_the_hash_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_some(_: Sequence[Due], shelf: Shelf, *__: object) -> tuple[int, list[str]]:
        filled(shelf.home, "r1")
        return Exit.OK, ["r1"]

    monkeypatch.setattr("drills.cli.drill.run_some", run_some)
    monkeypatch.setattr("drills.cli.drill.print_beside", lambda *_: None)
    assert main(["drill", "run", "site_killed", "--keep", str(tmp_path)]) == Exit.OK
    said = capsys.readouterr().out
    assert said.endswith(f"last hash of the chain (r1):\n  {Shelf(tmp_path).last_hash()}\n")


def test_a_chain_comes_past_its_beginning_and_what_was_not_a_piece_is_missing(
    shelf: Shelf,
) -> None:
    assert shelf.verify(FIRST) == 3
    with pytest.raises(TamperedError, match="is missing"):
        shelf.verify("1" * 64)


def test_a_hash_that_was_cut_short_is_none(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(copy, "--last-hash", "abc") == Exit.USAGE
    assert "all 64 hexadecimal digits" in capsys.readouterr().err


def test_the_report_as_json_says_by_which_key_and_how_far_the_chain_goes(
    copy: Path, shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(copy, "r2", "--verify", "--json") == Exit.OK
    said = json.loads(capsys.readouterr().out)
    assert said["run"] == "r2"
    assert said["checked"] == {
        "public_key": shelf.public_key(),
        "fingerprint": fingerprint(shelf.public_key()),
        "key_source": str(copy / PUBLIC),
        "hash": shelf.hash_of("r2"),
        "head": {"run": "r3", "hash": shelf.last_hash()},
        "pieces": 3,
    }
    assert report(copy, "--json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["checked"]["pieces"] is None


# ---- what is a key -------------------------------------------------------------------------------


def test_a_fingerprint_is_of_the_key_and_can_be_taken_for_neither_key_nor_hash() -> None:
    # By `openssl dgst -sha256 -binary | base64` of 32 zero bytes.
    assert fingerprint("0" * 64) == "SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU"
    with pytest.raises(SigningError):
        given(fingerprint("0" * 64))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither 64 hexadecimal digits nor PEM"),
        ("ab" * 31, "neither"),
        ("ab" * 33, "neither"),
        (
            generate_private_key(SECP256R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            "another kind than Ed25519",
        ),
    ],
    ids=["empty", "short", "long", "of another kind"],
)
def test_what_is_no_public_key_is_refused_with_the_reason(
    text: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text)
    file = tmp_path / "theirs"
    file.write_text(text)
    with pytest.raises(SigningError, match=f"{file} holds .*{why}"):
        given(str(file))


def test_a_key_in_any_form_is_the_same_key() -> None:
    digits = OTHER.public_bytes_raw().hex()
    assert parse(digits.upper()) == parse(f" {digits}\n") == parse(pem(OTHER)) == digits
    with pytest.raises(SigningError, match="there is no file away"):
        given("away.pub")


def test_a_folder_that_has_a_key_and_takes_no_evidence_is_found_before_anything_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    shelf.ensure_key()
    assert shelf.has_room()
    (tmp_path / "adding").unlink()
    (tmp_path / "adding").mkdir()  # as a disk that is for reading alone refuses it
    with pytest.raises(OSError, match="Is a directory"):
        shelf.has_room()
    assert main(["drill", "run", "site_killed", "--live", "--really", "--keep", str(tmp_path)]) == 1
    assert f"{tmp_path} takes no evidence: Is a directory" in capsys.readouterr().err


def test_a_page_that_is_asked_for_beside_json_is_printed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Shelf(tmp_path).put(piece(), FILES, "page")
    printed: list[tuple[str, Path]] = []
    monkeypatch.setattr(
        "drills.cli.drill_report._print", lambda _, run, file: printed.append((run, file))
    )
    assert report(tmp_path, "--json", "--pdf", str(tmp_path / "page.pdf")) == Exit.OK
    assert json.loads(capsys.readouterr().out)["run"] == "r1"
    assert printed == [("r1", tmp_path / "page.pdf")]
