"""Tests marked `lab` run in namespaces of their own."""

from tests.lab.inside import pytest_runtest_logreport, pytest_runtest_protocol

__all__ = ["pytest_runtest_logreport", "pytest_runtest_protocol"]
