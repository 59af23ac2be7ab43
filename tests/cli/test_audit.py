"""`./everline audit` on files and on a database: what it says, and by which code."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from control_plane.audit import export
from control_plane.audit.entry import detail_text
from drills.cli.app import main
from drills.cli.errors import Exit
from tests.control_plane.audit import made
from tests.control_plane.audit.made import KEYS, Log
from tests.control_plane.audit.sites import close, two


def written(log: Log, folder: Path) -> list[str]:
    """Write a log and the keys; return the command that checks it."""
    rows = [export.entry_line(at, each) for at, each in enumerate(log.rows)]
    tile = export.tile_line(0, b"".join(log.leaves))
    notes = [export.checkpoint_line(each) for each in log.notes]
    lines = [export.head_line(made.ORIGIN), *rows, tile, *notes]
    (folder / "log.jsonl").write_bytes(b"".join(lines))
    (folder / "keys.txt").write_text("".join(f"{each.text}\n" for each in KEYS))
    return ["audit", "verify", str(folder / "log.jsonl"), "--keys", str(folder / "keys.txt")]


def test_a_good_log_is_said_to_be_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = written(Log.honest(20, [9, 20]), tmp_path)
    assert main(command) == Exit.OK
    told = capsys.readouterr().out
    assert "20 entries, the whole log" in told
    assert "countersigned by b up to 20 entries" in told
    assert "nothing is wrong" in told


def test_a_line_of_a_log_ends_where_json_says_and_not_where_unicode_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log.honest(3, [3])
    log.rows[1]["detail"] = detail_text({"groups": ["Support\u2028Berlin", "Vertrieb\x85"]})
    log.rehash()
    log.sign_anew("a", ("b",))
    assert main(written(log, tmp_path)) == Exit.OK, capsys.readouterr().err


def test_an_edit_is_named_with_its_place_for_people_and_machines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log.honest(20, [9, 20])
    made.edit(log, 7, 0)
    command = written(log, tmp_path)
    assert main(command) == Exit.FAILED
    assert "changed: entries 7 to 7" in capsys.readouterr().out
    assert main([*command, "--json"]) == Exit.FAILED
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["fault"], finding["first"], finding["end"]) == ("changed", 7, 8)


def test_a_cut_tail_is_found_by_what_a_site_remembers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log.honest(20, [9, 20])
    made.cut(log, 9, 0)
    command = written(log, tmp_path)
    assert main(command) == Exit.OK
    (tmp_path / "audit.seen").write_text(log.seen)
    capsys.readouterr()
    assert main([*command, "--seen", str(tmp_path / "audit.seen")]) == Exit.FAILED
    assert "b has seen 20 entries; 9 are there" in capsys.readouterr().out


def test_a_file_is_not_checked_by_keys_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = written(Log.honest(3, [3]), tmp_path)
    assert main(command[:3]) == Exit.USAGE
    assert "--keys" in capsys.readouterr().err


def test_the_log_of_a_control_plane_is_checked_and_exported_by_its_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "key", str(tmp_path / "a.key"), "--site", "a"]) == Exit.OK
    capsys.readouterr()
    url = f"sqlite:///{tmp_path / 'e.db'}"

    async def fill() -> None:
        a, b = await two(url, tmp_path)
        await a.seal(1, 2, 3)
        await b.witness.look()
        await close(a, b)

    asyncio.run(fill())
    known = ", ".join(f'"{each.text}"' for each in KEYS)
    config = tmp_path / "control-plane.toml"
    config.write_text(
        f'site = "a"\nlisten_unix = "{tmp_path}/s"\ndatabase = "{url}"\nsigning_key = "none"\n'
        f'[audit]\nkey = "{tmp_path}/a.key"\nmemory = "{tmp_path}/b.seen"\nsites = [{known}]\n'
    )
    assert main(["audit", "verify", "--config", str(config)]) == Exit.OK
    log = tmp_path / "log.jsonl"
    assert main(["audit", "export", str(log), "--config", str(config)]) == Exit.OK
    assert log.stat().st_mode & 0o077 == 0
    capsys.readouterr()
    assert main(["audit", "keys", "--config", str(config)]) == Exit.OK
    (tmp_path / "keys.txt").write_text(capsys.readouterr().out)
    command = ["audit", "verify", str(log), "--keys", str(tmp_path / "keys.txt")]
    assert main([*command, "--seen", str(tmp_path / "b.seen")]) == Exit.OK
    with sqlite3.connect(tmp_path / "e.db") as connection:
        connection.execute("DROP TRIGGER audit_is_not_deleted")
        connection.execute("DELETE FROM audit WHERE place = 2")
        connection.execute("DELETE FROM audit_checkpoints")
        connection.execute("DELETE FROM audit_cosignatures")
    capsys.readouterr()
    assert main(["audit", "verify", "--config", str(config), "--witnesses", "0"]) == Exit.FAILED
    assert "has seen 3 entries" in capsys.readouterr().out
