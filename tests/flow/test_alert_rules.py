"""Every alarm rings when it should, asks for a number that is told, and has a page; so has the dashboard."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client import generate_latest

from deploy.dashboard import FILE, written
from services.kernel import metrics
from tests.documents import ROOT, section, text_of
from tests.prometheus_tools import promtool
from tests.promql import Asked, asked_for, grouped_by, queries

ALERTS: Final = ROOT / "deploy" / "alerts.yml"
CASES: Final = ROOT / "tests" / "prometheus" / "alerts_test.yml"
PAGES: Final = ROOT / "docs" / "runbooks"
RULES: Final[list[dict[str, Any]]] = [
    rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
DRAWN: Final = list(queries(json.loads(FILE.read_text(encoding="utf-8"))))
OF_PROMETHEUS: Final = {
    "up": {"job", "instance"},
    "ALERTS": {"alertname", "alertstate", "severity", "service"},
}
LABEL: Final = re.compile(r"\$labels\.(\w+)")
LEGEND: Final = re.compile(r"\{\{(\w+)\}\}")
HEADINGS: Final = ("What it means", "Check", "Do", "Resolved when")

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])


def told() -> dict[str, set[str]]:
    """Return every series that the code declares, with its labels."""
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    found = dict(OF_PROMETHEUS)
    for name, metric in vars(metrics).items():
        if not name.isupper() or not hasattr(metric, "_labelnames"):
            continue
        for ending in endings[metric._type]:
            more = {"le"} if ending == "_bucket" else set()
            found[metric._name + ending] = {*metric._labelnames, *more}
    return found


def unknown(query: str, shown: set[str]) -> set[str]:
    """Return what a query, and the words that stand beside it, name and nobody tells."""
    known, asked = told(), asked_for(query)
    assert asked, query
    strangers = {one.metric for one in asked} - known.keys()
    labels = {label for one in asked for label in known.get(one.metric, set())}
    chosen = {label for one in asked for label in one.labels - known.get(one.metric, one.labels)}
    return strangers | chosen | (grouped_by(query) | shown) - labels


def test_a_query_is_understood() -> None:
    """The reader of queries tells metrics and labels from functions, words and strings."""
    query = (
        'sum by (a, le) (rate(x_total{b=~"y{c}",d!="e"}[5m])) / on (f) group_left z unless w offset 1h > 0'
    )

    assert asked_for(query) == [
        Asked("x_total", frozenset({"b", "d"})),
        Asked("z", frozenset()),
        Asked("w", frozenset()),
    ]
    assert grouped_by(query) == {"a", "le", "f"}
    assert unknown("sum by (place) (samspil_ready{name='x'}) + samspil_nothing", {"colour"}) == {
        "place",
        "name",
        "samspil_nothing",
        "colour",
    }


@each_rule
def test_an_alarm_asks_for_what_is_told(rule: dict[str, Any]) -> None:
    """An alarm on a number or a label that nobody tells would be calm for ever."""
    words = set(LABEL.findall(" ".join(rule["annotations"].values())))

    assert unknown(rule["expr"], words) == set()
    assert rule["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda drawn: drawn["expr"][:60])
def test_a_picture_shows_what_is_told(drawn: dict[str, str]) -> None:
    """A curve of a number or a label that nobody tells would stay empty."""
    assert unknown(drawn["expr"], set(LEGEND.findall(drawn["legendFormat"]))) == set()


def test_the_list_of_services_is_made_of_what_is_told() -> None:
    """The choice at the dashboard's head comes from a label that exists."""
    (chosen,) = json.loads(FILE.read_text(encoding="utf-8"))["templating"]["list"]
    metric, label = re.findall(r"label_values\((\w+), (\w+)\)", chosen["definition"])[0]

    assert label in told()[metric]


def test_every_number_is_shown() -> None:
    """What is told and never shown would be told in vain."""
    shown = {one.metric for drawn in DRAWN for one in asked_for(drawn["expr"])}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    exported = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told()}

    assert exported - families - {"up"} == set()


def test_the_file_of_the_dashboard_is_current() -> None:
    """`python -m deploy.dashboard` has been run after the last change."""
    assert FILE.read_text(encoding="utf-8") == written()


@each_rule
def test_an_alarm_has_its_page(rule: dict[str, Any]) -> None:
    """Whoever is called finds what it means for people, what to look at, what to do, and when it is over."""
    name = f"docs/runbooks/{rule['alert']}.md"
    page = text_of(name)

    assert rule["annotations"]["runbook"] == name
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["first"]
    assert page.startswith(f"# {rule['alert']}\n")
    assert tuple(re.findall(r"^## (.+)$", page, re.MULTILINE)) == HEADINGS
    assert all(section(page, heading).strip() for heading in HEADINGS)
    assert "`samspil " in page


def test_every_page_has_its_alarm() -> None:
    """No page is left of an alarm that is gone, and each stands in the list."""
    pages = {page.stem for page in PAGES.glob("*.md")}
    listed = re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \|", text_of("docs/operations.md"), re.MULTILINE)

    assert pages == {rule["alert"] for rule in RULES} == set(listed)
    assert len(listed) == len(pages)


@each_rule
def test_an_alarm_is_tried_silent_and_ringing(rule: dict[str, Any]) -> None:
    """For each alarm there is a story in which it stays silent at first and then rings."""
    tests = [
        test
        for test in yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
        if test["name"] == rule["alert"]
    ]
    stories = [[bool(check["exp_samples"]) for check in test["promql_expr_test"]] for test in tests]

    assert any(not story[0] and any(story) for story in stories)
    assert {
        check["expr"] for test in tests for check in test["promql_expr_test"]
    } == {f'ALERTS{{alertname="{rule["alert"]}",alertstate="firing"}}'}  # fmt: skip


@pytest.mark.prometheus
def test_prometheus_can_read_its_files() -> None:
    """Prometheus' own checker finds nothing in its settings and alarms."""
    ran = promtool("check", "config", "--lint=all", "--lint-fatal", ROOT / "deploy" / "prometheus.yml")

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.prometheus
def test_the_alarms_ring_when_they_should() -> None:
    """Prometheus itself tells each alarm's story: silent, waiting, ringing."""
    ran = promtool("test", "rules", CASES)

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.prometheus
def test_prometheus_can_read_the_dashboards_queries(tmp_path: Path) -> None:
    """Prometheus' own parser takes every query of the dashboard."""
    asked = [re.sub(r"\$__rate_interval", "5m", drawn["expr"]) for drawn in DRAWN]
    rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(asked)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    ran = promtool("check", "rules", file)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(asked)} rules found" in ran.stdout.decode()


@pytest.mark.prometheus
def test_the_names_of_the_numbers_are_as_prometheus_wants_them() -> None:
    """Prometheus' linter of metrics finds nothing in what is told at /metrics."""
    ran = promtool("check", "metrics", given=generate_latest(metrics.REGISTRY_OF_ALL))

    assert [line for line in (ran.stdout + ran.stderr).splitlines() if b"samspil_" in line] == []
