"""Search everything that leaves a process, or lies open in it, for words that must not be there."""

import re
from collections.abc import Iterable, Mapping, Sequence
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import generate_latest
from pydantic import BaseModel

from contracts.event import topic_of
from services.kernel import metrics
from services.kernel.kafka.clients import consumer
from services.kernel.runtime.runtime import Runtime
from services.kernel.settings import Settings

_CHUNK: Final = 1 << 20
_OVERLAP: Final = 400
_WORD: Final = re.compile(r"\w{4,}")
_ESCAPED: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[bfnrt])")


class Leak(BaseModel):
    """Where a word was found, and the number of the word in the list; never the word."""

    location: str
    phrase: int


async def find_leaks(
    words: Sequence[str], runtimes: Mapping[str, Runtime], settings: Settings, folder: Path
) -> list[Leak]:
    """Search tables, topics, logs, metrics and mails."""
    search = _Search(words)
    found: list[Leak] = []
    for name, runtime in runtimes.items():
        found += await _in_tables(search, name, runtime)
    found += await _in_topics(search, list(runtimes), settings)
    found += search.in_bytes("metrics", generate_latest(metrics.REGISTRY_OF_ALL))
    return found + _in_files(search, folder)


def _in_files(search: "_Search", folder: Path) -> list[Leak]:
    found: list[Leak] = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and (file.suffix in {".log", ".eml"} or file.name.endswith(".log.1")):
            found += _in_file(search, file, folder)
            if file.suffix == ".eml":
                found += search.in_text(str(file.relative_to(folder)), _as_read(file.read_bytes()))
    return found


def _as_read(mail: bytes) -> str:
    """Return a mail as its reader sees it, with what SMTP encodes decoded."""
    letter = message_from_bytes(mail)
    headers = [str(make_header(decode_header(str(value)))) for value in letter.values()]
    bodies = [part.get_payload(decode=True) for part in letter.walk()]
    return "\n".join(
        [*headers, *(body.decode("utf-8", "replace") for body in bodies if isinstance(body, bytes))]
    )


class _Search:
    """Finds words whole, whatever their case, and as JSON escapes them; of a phrase each long word counts."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._numbers: dict[str, int] = {}
        for n, phrase in enumerate(phrases):
            for word in _WORD.findall(phrase.lower()):
                self._numbers.setdefault(word, n)
        self._words = frozenset(self._numbers)

    def in_text(self, location: str, text: str) -> list[Leak]:
        if "\\" in text:
            text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)
        hits = {self._numbers[word] for word in self._words.intersection(_WORD.findall(text.lower()))}
        return [Leak(location=location, phrase=n) for n in sorted(hits)]

    def in_bytes(self, location: str, data: bytes) -> list[Leak]:
        return self.in_text(location, data.decode("utf-8", "replace"))


async def _in_tables(search: _Search, name: str, runtime: Runtime) -> list[Leak]:
    """Search every table of a service, as text; sealed columns are bytes and cannot match."""
    found: list[Leak] = []
    async with runtime.pool.acquire() as tx, tx.transaction(readonly=True):
        tables = await tx.fetch(
            "select tablename from pg_tables where schemaname = $1 and tablename not like 'event_log_%'", name
        )
        for table in tables:
            lines = f'select t::text as line from "{table["tablename"]}" t'  # noqa: S608  from the catalogue
            async for row in tx.cursor(lines, prefetch=2000):
                found += search.in_text(f"{name}.{table['tablename']}", row["line"])
    return found


async def _in_topics(search: _Search, services: Iterable[str], settings: Settings) -> list[Leak]:
    reading = consumer(settings, fetch_max_wait_ms=50)
    found: list[Leak] = []
    try:
        await reading.start()
        partitions = [
            TopicPartition(topic_of(name), n) for name in services for n in range(settings.partitions)
        ]
        reading.assign(partitions)
        await reading.seek_to_beginning()
        ends = await reading.end_offsets(partitions)
        while await _before_end(reading, ends):
            for partition, records in (await reading.getmany(timeout_ms=200, max_records=2000)).items():
                for record in records:
                    found += search.in_bytes(f"topic {partition.topic}", _whole(record))
    finally:
        await reading.stop()
    return found


async def _before_end(reading: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await reading.position(partition) < end:
            return True
    return False


def _whole(record: Any) -> bytes:
    headers = b"\n".join(name.encode() + b"=" + value for name, value in record.headers)
    return b"\n".join((record.key or b"", headers, record.value or b""))


def _in_file(search: _Search, file: Path, folder: Path) -> list[Leak]:
    found: list[Leak] = []
    before = b""
    with file.open("rb") as lines:
        while chunk := lines.read(_CHUNK):
            found += search.in_bytes(str(file.relative_to(folder)), before + chunk)
            before = chunk[-_OVERLAP:]
    return found
