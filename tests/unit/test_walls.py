"""The floor plan holds: rooms that are known, rules without a hand in the world, and what is never done."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from contracts.event import SERVICES

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "services" / "kernel"
ROOMS = {
    "__init__.py", "api.py", "app.py", "domain", "domain.py", "effects.py", "intake.py", "projections",
    "projections.py", "schema", "steps.py", "store.py", "subscriptions.py", "templates", "timers.py", "views",
    "views.py",
}  # fmt: skip
PURE = ("domain*.py", "timers.py")
OF_THE_WORLD = {
    "aiohttp", "aiokafka", "aiosmtplib", "asyncio", "asyncpg", "fastapi", "faststream", "io", "logging", "os",
    "pathlib", "random", "secrets", "shutil", "socket", "starlette", "structlog", "subprocess", "threading",
    "time", "urllib",
}  # fmt: skip
KERNEL_OF_THE_RULES = {
    "services.kernel.decider.working_days",
    "services.kernel.decider.deadlines",
    "services.kernel.decider.decision",
    "services.kernel.errors",
    "services.kernel.decider.escalation",
    "services.kernel.decider.lifecycle",
    "services.kernel.decider.work_items",
}
UNRULY_NAMES = {"uuid1", "uuid4", "uuid7"}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
OURS = sorted(
    path for folder in ("contracts", "services", "deploy") for path in (ROOT / folder).rglob("*.py")
)
OF_SERVICES = [path for name in SERVICES for path in sorted((ROOT / "services" / name).rglob("*.py"))]
RULES = [
    path
    for path in OF_SERVICES
    if "domain" in path.relative_to(ROOT).parts or any(path.match(pattern) for pattern in PURE)
]
SCHEMAS = sorted((ROOT / "services").rglob("*.sql"))


def named(path: Path) -> str:
    """Return a file's name for the reader."""
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    """Return what a file says, as Python reads it."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Return the modules and names that a file imports, wherever it does so."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)} imports relatively"
            yield from ((node.module or "", alias.name) for alias in node.names)


def spelt(path: Path) -> Iterator[str]:
    """Return the texts in a file's code that are no docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    whole = tree(path)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(whole)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(whole):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_known_rooms_only(service: str) -> None:
    """Whoever knows one service knows all: there is no room of another kind."""
    folder = ROOT / "services" / service
    found = {path.name for path in folder.iterdir() if path.name != "__pycache__"}

    assert {
        name for name in found if name not in ROOMS and not re.fullmatch(r"domain_\w+\.py", name)
    } == set()
    assert {"__init__.py", "api.py", "app.py", "schema"} <= found
    assert found & {"domain", "domain.py"}
    assert {path.suffix for path in (folder / "schema").iterdir()} == {".sql"}
    assert all(re.fullmatch(r"0[1-9]\d\d_[a-z_]+\.sql", path.name) for path in (folder / "schema").iterdir())


@pytest.mark.parametrize("path", RULES, ids=named)
def test_a_rule_has_no_hand_in_the_world(path: Path) -> None:
    """Rules import neither input and output nor clock, chance or log, and of the kernel only its values."""
    own = ".".join(path.relative_to(ROOT).parts[:2])
    for module, name in imported(path):
        first = module.partition(".")[0]
        assert first not in OF_THE_WORLD, f"{module} in {named(path)}"
        assert name not in UNRULY_NAMES, f"{name} in {named(path)}"
        if first == "services":
            whole = f"{module}.{name}"
            room = whole.removeprefix(f"{own}.").partition(".")[0]
            pure = whole.startswith(f"{own}.") and (
                room == "domain" or any(Path(f"{room}.py").match(each) for each in PURE)
            )
            assert pure or {module, whole} & KERNEL_OF_THE_RULES, f"{whole} in {named(path)}"


@pytest.mark.parametrize("path", RULES, ids=named)
def test_a_rule_asks_no_clock(path: Path) -> None:
    """What time it is, a rule is told."""
    asked = [
        (node.value.id, node.attr)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]

    assert CLOCKS & set(asked) == set()
    assert [node for node in ast.walk(tree(path)) if isinstance(node, ast.Await)] == []


@pytest.mark.parametrize("path", sorted(KERNEL.rglob("*.py")), ids=named)
def test_the_kernel_knows_no_service(path: Path) -> None:
    """The kernel would work for other services."""
    strangers = {f"services.{name}" for name in (*SERVICES, "demo")}

    for module, name in imported(path):
        assert not any(f"{module}.{name}.".startswith(f"{each}.") for each in strangers), named(path)


@pytest.mark.parametrize("path", OF_SERVICES, ids=named)
def test_services_do_not_import_each_other(path: Path) -> None:
    """What another service knows is an event."""
    own = path.relative_to(ROOT).parts[1]
    others = {f"services.{name}" for name in SERVICES if name != own}

    for module, name in imported(path):
        assert not any(f"{module}.{name}.".startswith(f"{each}.") for each in others), named(path)


@pytest.mark.parametrize("path", OURS, ids=named)
def test_what_is_never_done(path: Path) -> None:
    """No bare `except`, no policy that lets go of an event, no second consumer within a process."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"a bare except in {named(path)}:{node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.value.id != "AckPolicy" or node.attr == "MANUAL", named(path)
        if isinstance(node, ast.keyword):
            assert node.arg not in {"max_workers", "enable_auto_commit"}, f"{node.arg} in {named(path)}"
            if node.arg == "auto_offset_reset":
                assert ast.literal_eval(node.value) == "earliest", named(path)


@pytest.mark.parametrize("path", OURS, ids=named)
def test_nobody_rings_a_bell_in_the_database(path: Path) -> None:
    """Commits would queue behind each other where transactions notify."""
    bell = re.compile(r"\bpg_notify\b|\b(NOTIFY|LISTEN)\b|^\s*(notify|listen)\s+\w+\s*(;|,|$)", re.MULTILINE)

    assert [text for text in spelt(path) if bell.search(text)] == []
    assert "add_listener" not in {
        node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("path", SCHEMAS, ids=named)
def test_the_schema_rings_none_either(path: Path) -> None:
    """The schema rings none; and sequences keep no numbers back, which would break the order."""
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8")).lower()

    assert not re.search(r"\b(pg_notify|notify|listen)\b", text)
    assert not re.search(r"\bcache\s+(?!1\b)\d", text)


def test_only_the_relay_sends() -> None:
    """Nothing reaches a topic that was not committed first."""
    senders = {"send", "send_and_wait", "send_batch", "publish", "publish_batch", "create_batch", "request"}
    found = {
        named(path)
        for path in (*sorted(KERNEL.rglob("*.py")), *OF_SERVICES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in senders
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "aiosmtplib")
    }

    assert found == {"services/kernel/outbox/relay.py"}


def test_the_relay_has_no_neighbour_in_its_queue() -> None:
    """Rows that another took are never skipped by who sends in order."""
    text = (KERNEL / "outbox" / "relay.py").read_text(encoding="utf-8").lower()

    assert "skip locked" not in text
    assert "order by first_id" in text
