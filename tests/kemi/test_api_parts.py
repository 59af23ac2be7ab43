"""Whether the fake KSR knows what the installed Kamailio exports, no more and no less."""

from __future__ import annotations

import pytest

from tests.kemi.fake_ksr import API
from tests.kemi.site import Site

pytestmark = pytest.mark.parts


def exported(site: Site) -> str:
    """Return the list that belongs into ksr_api.txt."""
    version = site.rpc("core.version").split()[1]
    functions = [each["func"] for each in site.rpc("app_python.api_list")["methods"]]
    names = sorted(
        "{}({})".format(
            f"{function['module']}.{function['name']}".removeprefix("."),
            "" if function["params"] == "none" else function["params"],
        )
        for function in functions
    )
    return "\n".join([f"# exported by Kamailio {version} with edge/kemi/kamailio.cfg", *names, ""])


def test_the_list_of_ksr_names_is_that_of_the_installed_kamailio(site: Site) -> None:
    listed = exported(site)
    assert API.read_text() == listed, f"write this into {API}:\n{listed}"
