"""Layout: which modules there are, what they import, and what is never done."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from contracts.event import SERVICES

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "services" / "kernel"
MODULES = {
    "__init__", "api", "app", "domain", "effects", "operations", "projections", "schema", "subscriptions",
    "templates", "views",
}  # fmt: skip
DOMAIN_MODULES = {
    "__init__", "access", "commands", "deadlines", "lifecycle", "refusals", "states", "steps", "transition",
}  # fmt: skip
PORTAL_MODULES = {
    "addresses", "casework", "catalogue", "components", "course", "documents", "figures", "forms",
    "pages", "person", "refusals", "rendering", "service_client", "sessions", "sign_in", "site",
    "site_texts", "static", "static_files", "texts", "theme", "visit", "work",
}  # fmt: skip
"""Modules of the portal, which has pages instead of an API."""

OWN_MODULES = {"referral": {"actions", "eligibility", "names"}, "directory": {"codes"}}
"""Modules of rules that stand by themselves: a child and a model's criteria, names, codes."""

IMPURE_MODULES = {
    "aiohttp", "aiokafka", "aiosmtplib", "asyncio", "asyncpg", "fastapi", "faststream", "io", "logging", "os",
    "pathlib", "random", "secrets", "shutil", "socket", "starlette", "structlog", "subprocess", "threading",
    "time", "urllib",
}  # fmt: skip
KERNEL_FOR_DOMAINS = {
    "services.kernel.decider.access",
    "services.kernel.decider.deadlines",
    "services.kernel.decider.decision",
    "services.kernel.decider.derived_ids",
    "services.kernel.decider.escalation",
    "services.kernel.decider.lifecycle",
    "services.kernel.decider.work_items",
    "services.kernel.decider.working_days",
    "services.kernel.errors",
}
RANDOM_IDS = {"uuid1", "uuid4", "uuid7"}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
OURS = sorted(
    path for folder in ("contracts", "services", "deploy") for path in (ROOT / folder).rglob("*.py")
)
OF_SERVICES = [path for name in SERVICES for path in sorted((ROOT / "services" / name).rglob("*.py"))]
DOMAIN = [path for path in OF_SERVICES if path.relative_to(ROOT).parts[2] == "domain"]
READERS = [path for path in OF_SERVICES if path not in DOMAIN]
SCHEMAS = sorted((ROOT / "services").rglob("*.sql"))


def named(path: Path) -> str:
    """Return the path of a file below the root."""
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Return the modules and names that a file imports, wherever it does so."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)} imports relatively"
            yield from ((node.module or "", alias.name) for alias in node.names)


def literals(path: Path) -> Iterator[str]:
    """Return the string literals of a file that are no docstrings."""
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


def modules_in(folder: Path) -> set[str]:
    """Return the names of the modules, packages and folders in a folder."""
    return {path.name.removesuffix(".py") for path in folder.iterdir() if path.name != "__pycache__"}


def states_in(path: Path) -> set[str]:
    """Return the names that a module of a service imports from its states."""
    own = ".".join(path.relative_to(ROOT).parts[:2])
    return {name for module, name in imported(path) if module == f"{own}.domain.states"}


def matched_classes(match: ast.Match) -> set[str]:
    """Return the names of the classes that a match statement matches, at any depth of its patterns."""
    return {
        node.cls.id
        for case in match.cases
        for node in ast.walk(case.pattern)
        if isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name)
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_common_modules_only(service: str) -> None:
    """A reader who knows one service knows all: there is no module of another kind."""
    folder = ROOT / "services" / service
    modules, domain = modules_in(folder), modules_in(folder / "domain")

    own = PORTAL_MODULES if service == "portal" else set()
    assert {"pages" if own else "api", "app", "domain", "projections", "schema"} <= modules <= MODULES | own
    assert {"lifecycle", "states", "steps"} <= domain <= DOMAIN_MODULES | OWN_MODULES.get(service, set())
    assert {path.suffix for path in (folder / "schema").iterdir()} == {".sql"}
    assert all(re.fullmatch(r"0[1-9]\d\d_[a-z_]+\.sql", path.name) for path in (folder / "schema").iterdir())


@pytest.mark.parametrize("path", DOMAIN, ids=named)
def test_a_domain_is_pure(path: Path) -> None:
    """A domain imports neither I/O nor clock, randomness or log, and of the kernel only its values."""
    own = ".".join((*path.relative_to(ROOT).parts[:2], "domain"))
    for module, name in imported(path):
        assert module.partition(".")[0] not in IMPURE_MODULES, f"{module} in {named(path)}"
        assert name not in RANDOM_IDS, f"{name} in {named(path)}"
        if module.startswith("services."):
            whole = f"{module}.{name}"
            assert whole.startswith(f"{own}.") or {module, whole} & KERNEL_FOR_DOMAINS, (
                f"{whole} in {named(path)}"
            )


@pytest.mark.parametrize("path", DOMAIN, ids=named)
def test_a_domain_reads_no_clock_and_awaits_nothing(path: Path) -> None:
    """The time of a decision is in its context."""
    attributes = {
        (node.value.id, node.attr)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }

    assert CLOCKS & attributes == set()
    assert [node for node in ast.walk(tree(path)) if isinstance(node, ast.Await)] == []


@pytest.mark.parametrize("path", READERS, ids=named)
def test_a_reader_of_states_checks_no_type_of_a_state(path: Path) -> None:
    """Outside a domain no `isinstance` on states: mypy would not notice that a new state is missing."""
    states = states_in(path)
    checked = {
        name.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"
        for name in ast.walk(node.args[1])
        if isinstance(name, ast.Name)
    }

    assert checked & states == set()


@pytest.mark.parametrize("path", READERS, ids=named)
def test_a_reader_of_states_matches_every_state(path: Path) -> None:
    """A `match` on states ends in `assert_never`: mypy then names every reader that lacks a new state."""
    states = states_in(path)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Match) and matched_classes(node) & states:
            calls = {one.id for one in ast.walk(node.cases[-1]) if isinstance(one, ast.Name)}
            assert "assert_never" in calls, f"{named(path)}:{node.lineno}"


@pytest.mark.parametrize("path", sorted(KERNEL.rglob("*.py")), ids=named)
def test_the_kernel_imports_no_service(path: Path) -> None:
    """The kernel would work for other services."""
    services = {f"services.{name}" for name in SERVICES} | {"demo"}

    for module, name in imported(path):
        assert not any(f"{module}.{name}.".startswith(f"{each}.") for each in services), named(path)


@pytest.mark.parametrize("path", OF_SERVICES, ids=named)
def test_services_do_not_import_each_other(path: Path) -> None:
    """What a service needs of another is an event."""
    own = path.relative_to(ROOT).parts[1]
    others = {f"services.{name}" for name in SERVICES if name != own}

    for module, name in imported(path):
        assert not any(f"{module}.{name}.".startswith(f"{each}.") for each in others), named(path)


@pytest.mark.parametrize("path", OURS, ids=named)
def test_forbidden_options(path: Path) -> None:
    """No bare `except`, no automatic acknowledgement, no second consumer within a process."""
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
def test_no_listen_notify(path: Path) -> None:
    """Commits would queue behind each other where transactions notify."""
    pattern = re.compile(
        r"\bpg_notify\b|\b(NOTIFY|LISTEN)\b|^\s*(notify|listen)\s+\w+\s*(;|,|$)", re.MULTILINE
    )

    assert [text for text in literals(path) if pattern.search(text)] == []
    assert "add_listener" not in {
        node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("path", SCHEMAS, ids=named)
def test_no_notify_and_no_cached_sequence_in_the_schema(path: Path) -> None:
    """A cached sequence yields numbers out of order."""
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8")).lower()

    assert not re.search(r"\b(pg_notify|notify|listen)\b", text)
    assert not re.search(r"\bcache\s+(?!1\b)\d", text)


def test_a_request_reaches_one_municipality_only() -> None:
    """What serves requests knows no pool but the API's, whose role sees one municipality, in one place."""
    of_http = [*sorted((KERNEL / "http").glob("*.py")), *OF_SERVICES]
    found = {
        (named(path), node.attr)
        for path in of_http
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"pool", "api_pool", "database", "acquire"}
    }

    assert found == {
        ("services/kernel/http/own_commands.py", "api_pool"),
        ("services/kernel/http/requests.py", "api_pool"),
        ("services/kernel/http/tenant_writes.py", "api_pool"),
    }


def test_only_requests_use_their_pool() -> None:
    """The consumer, the timers and the operations see every municipality, and log in by another role."""
    found = {
        named(path)
        for path in OURS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "api_pool"
    }

    assert found == {
        "services/kernel/http/own_commands.py",
        "services/kernel/http/requests.py",
        "services/kernel/http/tenant_writes.py",
        "services/kernel/runtime/runtime.py",
    }


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
        and named(path) != "services/portal/service_client.py"  # its requests go to services, over HTTP
    }

    assert found == {"services/kernel/outbox/publisher.py", "services/kernel/outbox/relay.py"}


def test_the_relay_never_skips_locked_rows() -> None:
    """A relay that skipped rows locked by another would send out of order."""
    text = (KERNEL / "outbox" / "pending.py").read_text(encoding="utf-8").lower()

    assert "skip locked" not in text
    assert "order by first_id" in text


def test_who_asks_for_fresh_consents_subscribes_to_their_watermark() -> None:
    """Without the watermark's events every consent would pass for fresh."""
    asking = {
        name
        for name in SERVICES
        for path in OF_SERVICES
        if path.is_relative_to(ROOT / "services" / name)
        and re.search(r"\b(require_fresh_consents|consents_fresh)\b", path.read_text(encoding="utf-8"))
    }
    subscribing = {
        name
        for name in SERVICES
        if ("contracts.consent", "ConsentTicked") in imported(ROOT / "services" / name / "subscriptions.py")
        or "consent.ConsentTicked," in (ROOT / "services" / name / "subscriptions.py").read_text("utf-8")
    }

    assert asking == subscribing == {"referral", "agreement", "evaluation", "notify"}
