"""The fixtures of the tests in a browser: one Chromium and one installation, and windows that are watched."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from signal import SIGTERM
from typing import Final, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from demo.situations import SITUATIONS, Case
from demo.wire import wire_to
from demo.world import TENANT, World
from tests.browser.manner import ALL, MOUSE, Manner
from tests.browser.sign_in import Signs, sign_in
from tests.browser.somebody import Somebody
from tests.chromium_tools import chromium_program
from tests.up import Server

_ARGUMENTS: Final = (
    "--no-sandbox",  # the tests may run as root, on pages of our own
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
_PATIENCE_MS: Final = 15_000


class Window(Protocol):
    """Opens a browser window in a manner, the test's own unless another is given."""

    def __call__(self, wanted: Manner | None = None) -> Awaitable[Somebody]:
        """Return somebody at a new window."""


AsPerson = Callable[[Signs], Awaitable[Somebody]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests on one event loop: they share browser and installation."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(node_tools: Path) -> AsyncIterator[Browser]:  # noqa: ARG001  it installs axe-core
    """Run one Chromium for all tests; nothing but this machine can be reached from it."""
    program = chromium_program()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Run one installation for all tests, on the virtual clock."""
    server = Server(tmp_path_factory.mktemp("installation"))
    server.start()
    try:
        await server.ready()
        yield server
    finally:
        server.end(SIGTERM)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(installation: Server) -> AsyncIterator[World]:
    """Let departments, organisations and their people in, once for all tests."""
    async with wire_to(installation.url, TENANT, print) as wire:
        clock = await wire.read(None, "/development/clock")
        today = datetime.fromisoformat(clock["now"]).date()
        made = World(wire, f"{installation.url}/development/oidc", today)
        await made.set_up()
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def situations(world: World) -> dict[str, Case]:
    """Play every situation, once for all tests, and return the cases by the situation's name."""
    return {name: await one.play(world) for name, one in SITUATIONS.items()}


@pytest.fixture
def manner(request: pytest.FixtureRequest) -> Manner:
    """Return how the test uses the portal; a journey is made in all manners by `in_all_manners`."""
    wanted = getattr(request, "param", MOUSE)
    assert isinstance(wanted, Manner)
    return wanted


@pytest_asyncio.fixture(loop_scope="session")
async def window(chromium: Browser, installation: Server, manner: Manner) -> AsyncIterator[Window]:
    """Lend watched windows; at the end of the test each is checked, and nothing may have gone wrong."""
    async with AsyncExitStack() as stack:
        opened: list[Somebody] = []

        async def open_window(wanted: Manner | None = None) -> Somebody:
            one = await _open(stack, chromium, installation.url, wanted or manner)
            opened.append(one)
            return one

        yield open_window
        for one in opened:
            await one.settles()
        said = [line for one in opened for line in one.watch.said]
        assert not said, "\n".join(said)


@pytest_asyncio.fixture(loop_scope="session")
async def as_person(window: Window) -> AsPerson:
    """Sign people in, each in a window of their own."""

    async def signed_in(person: Signs) -> Somebody:
        somebody = await window()
        await sign_in(somebody, person)
        return somebody

    return signed_in


async def _open(stack: AsyncExitStack, browser: Browser, address: str, manner: Manner) -> Somebody:
    context = await browser.new_context(
        viewport={"width": manner.width, "height": manner.height},
        java_script_enabled=manner.script,
        forced_colors="active" if manner.forced_colors else "none",
        locale=manner.language,
        reduced_motion="reduce",
    )
    stack.push_async_callback(context.close)
    context.set_default_timeout(_PATIENCE_MS)
    somebody = Somebody(address, context, await context.new_page(), manner)
    await somebody.watch.begin(context)
    return somebody


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a journey in every manner where the test is marked `in_all_manners`."""
    if metafunc.definition.get_closest_marker("in_all_manners"):
        metafunc.parametrize("manner", ALL, ids=[one.name for one in ALL], indirect=True)
