"""Commands over HTTP, each repeated under its key until it is answered: then it counts as promised."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

import aiohttp

_PATIENCE: Final = aiohttp.ClientTimeout(total=4)
_REST_SECONDS: Final = 0.25
_TIMED: Final = 0.15
_LONGEST_SLEEP: Final = 5.0


class Load:
    """Sends commands for many cases until it is ended."""

    def __init__(self, urls: list[str], token: str, seed: int, *, cases: int = 60, workers: int = 6) -> None:
        self.promised: dict[UUID, tuple[UUID, bool]] = {}
        self.refused: list[int] = []
        self._urls = urls
        self._headers = {"Authorization": f"Bearer {token}"}
        named = (uuid5(NAMESPACE_URL, f"fault {seed} case {n}") for n in range(cases))
        self._cases = [UUID(int=name.int, version=4) for name in named]  # calculated ids are refused
        self._seed = seed
        self._workers = workers
        self._pause = asyncio.Event()
        self._ending = False

    @property
    def cases(self) -> list[UUID]:
        """Return the streams that commands go to."""
        return self._cases

    async def end(self) -> None:
        """Let every command that was begun be answered, and begin none."""
        self._ending = True
        await self.task

    async def run(self) -> None:
        """Send commands until ended."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(
            headers=self._headers, timeout=_PATIENCE, connector=connector
        ) as http:
            await asyncio.gather(*(self._work(http, n) for n in range(self._workers)))

    async def _work(self, http: aiohttp.ClientSession, worker: int) -> None:
        random = Random(f"{self._seed} {worker}")
        n = 0
        while not self._ending:
            n += 1
            ref = uuid5(NAMESPACE_URL, f"fault {self._seed} {worker} {n}")
            case = random.choice(self._cases)
            timed = random.random() < _TIMED
            wake_at = datetime.now(UTC) + timedelta(seconds=random.uniform(0, _LONGEST_SLEEP))
            body = {"ref": str(ref), **({"wake_at": wake_at.isoformat()} if timed else {})}
            await self._insist(http, case, body, random)
            self.promised[ref] = (case, timed)
            await self._rest(random.uniform(0, _REST_SECONDS))

    async def _insist(
        self, http: aiohttp.ClientSession, case: UUID, body: dict[str, str], random: Random
    ) -> None:
        """Repeat one command under its key until it is done, with whichever process answers."""
        while True:
            url = f"{random.choice(self._urls)}/referral/cases/{case}/count"
            try:
                async with http.post(url, json=body, headers={"Idempotency-Key": body["ref"]}) as answer:
                    if answer.status == 200:
                        return
                    self.refused.append(answer.status)
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await self._rest(0.1)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._pause.wait()

    task: "asyncio.Task[None]"
