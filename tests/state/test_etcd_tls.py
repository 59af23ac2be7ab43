"""Certificates that are replaced while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.state.cluster import Authority

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_a_file_that_is_empty_is_as_one_that_is_missing(tmp_path: Path, name: str) -> None:
    tls = Authority(tmp_path).issue("edge")
    assert all(tls.read())
    file: Path = getattr(tls, name)
    file.write_bytes(b"")
    # grpc aborts the process over an empty certificate or key.
    with pytest.raises(OSError, match=f"{file.name} is empty"):
        tls.read()
