"""What an auditor searches the trail for, as it is typed."""

from datetime import date

import pytest
from starlette.datastructures import FormData

from services.portal.pages.trail import SEARCH


@pytest.mark.parametrize("typed", ["1.12.2026", "1/12 2026", "2026-12-01"])
def test_a_day_is_understood_as_people_write_it(typed: str) -> None:
    """The trail can be searched by time alone."""
    said = SEARCH.bind(FormData({"case_id": "", "actor": "", "since": typed, "until": typed})).value
    assert (said.since, said.until) == (date(2026, 12, 1), date(2026, 12, 1))
