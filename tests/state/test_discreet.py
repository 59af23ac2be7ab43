"""Of a fault its kind and place, never its text."""

from __future__ import annotations

import asyncio
import json

import pytest

from state.discreet import fault


def _faulty(number: str) -> None:
    secret_local = number
    raise KeyError(secret_local)


def test_a_fault_is_named_with_its_place_and_without_its_text_or_locals() -> None:
    with pytest.raises(KeyError) as caught:
        _faulty("+4930123")
    fields = fault(caught.value)
    assert fields["fault"] == "KeyError"
    assert fields["at"].startswith("test_discreet.py:")
    assert "4930123" not in json.dumps(fields)
    assert "secret" not in json.dumps(fields)


async def test_of_a_group_of_faults_the_first_is_named() -> None:
    async def faulty() -> None:
        await asyncio.sleep(0)
        _faulty("+4930123")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(faulty())
    assert fault(caught.value)["fault"] == "KeyError"
    assert "test_discreet.py" in fault(caught.value)["at"]


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert fault(ValueError("x")) == {"fault": "ValueError", "at": "?"}
