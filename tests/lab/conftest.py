"""The lab's own tests run inside (see inside.py)."""

from __future__ import annotations

from tests.lab.inside import pytest_runtest_logreport, pytest_runtest_protocol

__all__ = ["pytest_runtest_logreport", "pytest_runtest_protocol"]
