"""A real S3 server with object lock: SeaweedFS, started on loopback with credentials of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

WEED: Final = Path(sys.executable).with_name("weed")
REGION: Final = "us-east-1"
ACCESS, SECRET = "recorder", "only-on-loopback"
_STARTS_S: Final = 60.0
LOCK: Final = b"""<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode>
<Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"""


class S3:
    """One server over one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = _free_ports(8)
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir()
        keys = [{"accessKey": ACCESS, "secretKey": SECRET}]
        actions = ["Admin", "Read", "Write", "List"]
        identity = {"name": "everline", "credentials": keys, "actions": actions}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    @property
    def host(self) -> str:
        """Return where it listens."""
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def environment(self) -> dict[str, str]:
        """Return what a client is told by its environment."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://{self.host}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": REGION,
        }

    def start(self) -> None:
        """Start it, and wait until it takes requests."""
        names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port",
                 "volume.port.grpc", "filer.port", "filer.port.grpc")  # fmt: skip
        ports = [f"-{name}={port}" for name, port in zip(names, self._ports, strict=True)]
        words = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.port.iceberg=0",
                 "-s3.port.lance=0", "-master.telemetry=false", "-master.volumeSizeLimitMB=64",
                 "-volume.max=20")  # fmt: skip
        files = (f"-dir={self._folder / 'data'}", f"-s3.config={self._folder / 's3.json'}")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [WEED, "-logtostderr=true", "server", *words, *files, *ports],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
            )
        ends_s = time.monotonic() + _STARTS_S
        while not self._is_up():
            said = (self._folder / "log").read_text()[-2000:]
            assert self._process.poll() is None, said
            assert time.monotonic() < ends_s, said
            time.sleep(0.1)

    def _is_up(self) -> bool:
        try:
            return self.ask("GET", "/")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Kill it, as a crash would; it would take half a minute to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def bucket(self, name: str, *, is_locked: bool = False) -> None:
        """Make a bucket; what is put into a locked one can be deleted by nobody for a day."""
        lock = {"x-amz-bucket-object-lock-enabled": "true"} if is_locked else {}
        assert self.ask("PUT", f"/{name}", headers=lock)[0] == 200
        if is_locked:
            assert self.ask("PUT", f"/{name}", "object-lock=", LOCK)[0] == 200

    def versions(self, bucket: str) -> list[tuple[str, str]]:
        """Return every version of every object: key and version."""
        text = self.ask("GET", f"/{bucket}", "versions=")[1]
        found = [part.partition("</Version>")[0] for part in text.split("<Version>")[1:]]
        return [(_between(each, "Key"), _between(each, "VersionId")) for each in found]

    def ask(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Send a request signed with AWS's Signature Version 4; return status and text."""
        signed = self._signed(method, path, query, body, headers or {})
        url = f"http://{self.host}{path}{'?' if query else ''}{query}"
        request = urllib.request.Request(url, body or None, signed, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def _signed(
        self, method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        digest = hashlib.sha256(body).hexdigest()
        said = {"host": self.host, "x-amz-date": now, "x-amz-content-sha256": digest, **headers}
        names = ";".join(sorted(said))
        lines = [f"{name}:{said[name]}" for name in sorted(said)]
        canonical = "\n".join([method, path, query, *lines, "", names, digest])
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{SECRET}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashed}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={ACCESS}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**said, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}


def _between(text: str, tag: str) -> str:
    return text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]


def _free_ports(count: int) -> list[int]:
    """Return ports that are free at this moment."""
    with ExitStack() as stack:
        bound = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in bound:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in bound]
