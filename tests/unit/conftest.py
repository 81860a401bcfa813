"""Unit tests: no network and no server, and a story for a test that needs one."""

import socket
from collections.abc import Generator, Iterator
from importlib import import_module
from typing import Any, NoReturn

import pytest

from tests.story import Story


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection and every bound address."""

    def refuse(_socket: socket.socket, address: object) -> NoReturn:
        raise AssertionError(f"a unit test uses the network: {address}")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("bind", "connect", "connect_ex"):
            patch.setattr(socket.socket, name, refuse)
        yield


@pytest.fixture
def story(request: pytest.FixtureRequest) -> Story[Any]:
    """Begin a story of the service that names the test's module, as `tests.subject_<service>` has it."""
    service = request.module.__name__.rpartition(".")[2].split("_")[1]
    return Story(import_module(f"tests.subject_{service}").SUBJECT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """End the story of a test that passes; show its last steps where it fails."""
    story = getattr(item, "funcargs", {}).get("story")
    try:
        outcome = yield
        if isinstance(story, Story):
            story.end()
    except BaseException as error:
        if isinstance(story, Story):
            error.add_note(f"The story, its last steps:\n{story}")
        raise
    return outcome
