"""The generated messages are those of the proto file beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from state.etcdpb import generate

ROOT = Path(generate.__file__).parent.parent.parent


@pytest.mark.parametrize("name", ["rpc_pb2.py", "rpc_pb2.pyi"])
def test_generating_again_gives_the_same(tmp_path: Path, name: str) -> None:
    generate.generate(ROOT, tmp_path)
    made = tmp_path / "state" / "etcdpb" / name
    assert made.read_text() == (ROOT / "state" / "etcdpb" / name).read_text()


def test_a_proto_file_that_is_wrong_is_an_error_that_names_it(tmp_path: Path) -> None:
    proto = tmp_path / generate.PROTO
    proto.parent.mkdir(parents=True)
    proto.write_text("syntax = ")
    with pytest.raises(SystemExit, match=r"rpc\.proto: status 1"):
        generate.generate(tmp_path, tmp_path)
