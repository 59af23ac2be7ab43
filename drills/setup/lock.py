"""`./everline lock`: resolves pyproject.toml anew into requirements.lock, with hashes.

uv resolves; it lives in a throwaway environment, so that it is nobody's dependency.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from drills.setup import say
from drills.setup.errors import SetupError
from drills.setup.pyenv import PYTHON, ROOT

PLACES = re.compile(r"://|^-|file:|\s@\s|^\s*/", re.MULTILINE)
"""What would tie the lock to a host or a path: URLs, option lines, direct references."""

RESOLVE = (
    *("pip", "compile", "--python", PYTHON, "--universal", "--extra", "dev", "--generate-hashes"),
    *("--no-emit-find-links", "--no-header", "--no-annotate", "--quiet", "pyproject.toml"),
)


def regenerate(*, upgrade: bool) -> bool:
    """Write requirements.lock; return whether it changed. Pins stay unless `upgrade` or refused."""
    target = ROOT / "requirements.lock"
    before = target.read_text() if target.exists() else ""
    with tempfile.TemporaryDirectory(prefix="everline-lock-") as folder:
        fresh = Path(folder) / "requirements.lock"
        fresh.write_text(before)  # uv keeps the pins that it finds here
        with say.Step("resolving") as step:
            step.show(0.1, "uv")
            home = Path(folder) / "venv"
            _run([PYTHON, "-m", "venv", str(home)])
            _run([str(home / "bin/pip"), "install", "--quiet", "uv"])
            step.show(0.5, "pyproject.toml")
            extra = ["--upgrade"] if upgrade else []
            _run([str(home / "bin/uv"), *RESOLVE, *extra, "-o", str(fresh)])
        text = fresh.read_text()
    check(text)
    if text == before:
        return False
    partial = target.with_suffix(".lock.new")
    partial.write_text(text)
    partial.replace(target)
    return True


def check(text: str) -> None:
    """Refuse a lock that names a host or a path: it would not work elsewhere."""
    if found := PLACES.search(text):
        line = text[: found.start()].count("\n") + 1
        raise SetupError(
            f"the new lock names a place in line {line} ({text.splitlines()[line - 1].strip()}); "
            "it was not written. Take the direct reference out of pyproject.toml"
        )


def _run(command: list[str]) -> None:
    # uv reads none of pip's configuration; the certificates of the system it can be told to use.
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = "\n".join(f"  {line}" for line in (done.stderr or done.stdout).splitlines()[-12:])
        raise SetupError(f"{' '.join(command[:3])} ... failed:\n{last}")


def main(arguments: list[str]) -> int:
    """Be `./everline lock [--upgrade]` where the environment is not ready (or cannot be built)."""
    if unknown := set(arguments) - {"--upgrade"}:
        say.note(f"lock knows --upgrade, not {' '.join(sorted(unknown))}")
        return 2
    if not shutil.which(PYTHON):
        raise SetupError(f"no {PYTHON}")
    changed = regenerate(upgrade="--upgrade" in arguments)
    say.note("requirements.lock written" if changed else "requirements.lock is as it was")
    return 0
