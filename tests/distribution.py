"""Distribution of the tests over the worker processes of pytest-xdist.

A worker builds a fixture of a module once, so that a file that has one runs in one worker; so do the tests in
the browser, those on the session's Apache Kafka or server, and the short tests of a unit file. All others
are handed out one by one, in the order of their collection: the long ones first.
"""

import re
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER: Final = frozenset({
    "tests/fault/test_ledger.py",
    "tests/fault/test_regressions.py",
    "tests/flow/test_alerts.py",
    "tests/flow/test_demo.py",
    "tests/flow/test_embedded_rights.py",
    "tests/flow/test_made_up_requests.py",
    "tests/flow/test_operating.py",
    "tests/flow/test_prepared_installation.py",
    "tests/flow/test_secured_kafka.py",
    "tests/store/test_roles.py",
    "tests/store/test_row_level_security.py",
    "tests/store/test_schema_conventions.py",
    "tests/store/test_sign_in_providers.py",
})  # fmt: skip
"""Files with a fixture of the module or of the session."""

ON_ONE_SERVER: Final = frozenset({"tests/flow/test_strangers.py"})
"""Files whose tests call the session's `samspil up`."""

_ON_KAFKA: Final = re.compile(r"tests/(fault|flow)/(?!test_campaign).*\[kafka[]-]")
_POSTGRES: Final = re.compile(r"\[postgres-\d+")


class ByUnit(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out units of tests, each to one worker."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return the unit that a test belongs to; it is of one PostgreSQL, else that would start many times."""
    file = nodeid.partition("::")[0]
    if file.startswith("tests/browser/"):
        return "browser"
    if file in ON_ONE_SERVER:
        return "server"
    if _ON_KAFKA.match(nodeid):
        return "Apache Kafka"
    if file.startswith("tests/unit/"):
        return file
    version = _POSTGRES.search(nodeid)
    return f"{file}{version[0] if version else ''}" if file in TOGETHER else nodeid
