"""Everything in one process: what it takes from its surroundings, and what it does not."""

import pytest

from services.kernel.embedded_process import free_port
from services.kernel.up import everything
from tests.servers import scratch_folder


@pytest.mark.embedded
async def test_the_embedded_server_answers_on_the_loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives tokens to whoever asks, so the setting of an installation does not open it to others."""
    monkeypatch.setenv("SAMSPIL_HOST", "0.0.0.0")  # noqa: S104  what a container is told

    with scratch_folder() as folder:
        async with everything((), folder / "data", port=free_port(), virtual=False) as (_, settings, _):
            host = settings.host

    assert host == "127.0.0.1"
