"""Makes `rpc_pb2.py` and `rpc_pb2.pyi` from `rpc.proto`: `python -m state.etcdpb.generate`.

Run from the root of the checkout. Needs grpcio-tools, which only development installs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # ships neither stubs nor py.typed

PROTO = "state/etcdpb/rpc.proto"
_STUB = "state/etcdpb/rpc_pb2.pyi"
_STUB_HEAD = '# mypy: disable-error-code="type-arg"\n'


def generate(root: Path, out: Path) -> None:
    """Write both modules below `out`, from the proto file below `root`."""
    arguments = ["protoc", f"-I{root}", f"--python_out={out}", f"--pyi_out={out}", PROTO]
    status = protoc.main(arguments)
    if status != 0:
        raise SystemExit(f"protoc could not translate {root / PROTO}: status {status}")
    stub = out / _STUB
    stub.write_text(_STUB_HEAD + stub.read_text())


if __name__ == "__main__":
    generate(Path(), Path())
    sys.exit(0)
