"""Alert rules and dashboard: they query exported metrics, fire when they should, and have a runbook."""

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
from tests.prometheus_tools import amtool, promtool
from tests.promql import MetricReference, grouped_by, metrics_of, queries

ALERTS: Final = ROOT / "deploy" / "alerts.yml"
ALERTMANAGER: Final = ROOT / "deploy" / "example-alertmanager.yml"
CASES: Final = ROOT / "tests" / "prometheus" / "alerts_test.yml"
RUNBOOKS: Final = ROOT / "docs" / "runbooks"
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


def exported_metrics() -> dict[str, set[str]]:
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
    """Return what a queryand the words beside it name that no metric exports."""
    exported, used = exported_metrics(), metrics_of(query)
    assert used, query
    strangers = {one.metric for one in used} - exported.keys()
    labels = {label for one in used for label in exported.get(one.metric, set())}
    chosen = {label for one in used for label in one.labels - exported.get(one.metric, one.labels)}
    return strangers | chosen | (grouped_by(query) | shown) - labels


def test_a_query_is_understood() -> None:
    """The parser of queries separates metrics and labels from functions, words and strings."""
    query = (
        'sum by (a, le) (rate(x_total{b=~"y{c}",d!="e"}[5m])) / on (f) group_left z unless w offset 1h > 0'
    )

    assert metrics_of(query) == [
        MetricReference("x_total", frozenset({"b", "d"})),
        MetricReference("z", frozenset()),
        MetricReference("w", frozenset()),
    ]
    assert grouped_by(query) == {"a", "le", "f"}
    assert unknown("sum by (zone) (samspil_ready{name='x'}) + samspil_nothing", {"colour"}) == {
        "zone",
        "name",
        "samspil_nothing",
        "colour",
    }


@each_rule
def test_an_alert_queries_metrics_that_are_exported(rule: dict[str, Any]) -> None:
    """An alert on a metric or a label that is not exported would never fire."""
    words = set(LABEL.findall(" ".join(rule["annotations"].values())))

    assert unknown(rule["expr"], words) == set()
    assert rule["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda drawn: drawn["expr"][:60])
def test_a_panel_queries_metrics_that_are_exported(drawn: dict[str, str]) -> None:
    """A panel of a metric or a label that is not exported would stay empty."""
    assert unknown(drawn["expr"], set(LEGEND.findall(drawn["legendFormat"]))) == set()


def test_the_list_of_services_comes_from_an_exported_label() -> None:
    """The choice at the dashboard's head comes from a label that exists."""
    (chosen,) = json.loads(FILE.read_text(encoding="utf-8"))["templating"]["list"]
    metric, label = re.findall(r"label_values\((\w+), (\w+)\)", chosen["definition"])[0]

    assert label in exported_metrics()[metric]


def test_every_metric_is_on_the_dashboard() -> None:
    """A metric that is on no panel would be exported in vain."""
    shown = {one.metric for drawn in DRAWN for one in metrics_of(drawn["expr"])}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    exported = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported_metrics()}

    assert exported - families - {"up"} == set()


def test_the_file_of_the_dashboard_is_current() -> None:
    """`python -m deploy.dashboard` has been run after the last change."""
    assert FILE.read_text(encoding="utf-8") == written()


@each_rule
def test_an_alert_has_its_runbook(rule: dict[str, Any]) -> None:
    """A runbook says what the alert means for people, what to check, what to do, and when it is resolved."""
    name = f"docs/runbooks/{rule['alert']}.md"
    runbook = text_of(name)

    assert rule["annotations"]["runbook_url"] == f"{{{{ $externalLabels.runbooks }}}}/{rule['alert']}.md"
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["first"]
    assert runbook.startswith(f"# {rule['alert']}\n")
    assert tuple(re.findall(r"^## (.+)$", runbook, re.MULTILINE)) == HEADINGS
    assert all(section(runbook, heading).strip() for heading in HEADINGS)
    assert "`samspil " in runbook


def test_every_runbook_has_its_alert() -> None:
    """No runbook is left of an alert that is gone, and each is in the list."""
    runbooks = {runbook.stem for runbook in RUNBOOKS.glob("*.md")}
    listed = re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \|", text_of("docs/operations.md"), re.MULTILINE)

    assert runbooks == {rule["alert"] for rule in RULES} == set(listed)
    assert len(listed) == len(runbooks)


@each_rule
def test_an_alert_is_tested_resolved_and_firing(rule: dict[str, Any]) -> None:
    """Each alert has a test in which it does not fire at first and then fires."""
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
    """Prometheus' own checker finds nothing in its settings and alerts."""
    ran = promtool("check", "config", "--lint=all", "--lint-fatal", ROOT / "deploy" / "prometheus.yml")

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.prometheus
def test_a_page_calls_somebody_and_a_ticket_waits() -> None:
    """Alertmanager's own checker takes the example of its settings, and each severity has its receiver."""
    checked = amtool("check-config", ALERTMANAGER)
    assert checked.returncode == 0, checked.stdout + checked.stderr

    severities = {rule["labels"]["severity"] for rule in RULES}
    routed = {
        one: amtool("config", "routes", "test", f"--config.file={ALERTMANAGER}", f"severity={one}").stdout
        for one in severities
    }
    assert routed == {"page": b"pages\n", "ticket": b"tickets\n"}


@pytest.mark.prometheus
def test_the_alerts_fire_when_they_should() -> None:
    """Prometheus itself runs each alert's test: inactive, pending, firing."""
    ran = promtool("test", "rules", CASES)

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.prometheus
def test_prometheus_can_read_the_dashboards_queries(tmp_path: Path) -> None:
    """Prometheus' own parser takes every query of the dashboard."""
    expressions = [re.sub(r"\$__rate_interval", "5m", drawn["expr"]) for drawn in DRAWN]
    rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(expressions)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    ran = promtool("check", "rules", file)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(expressions)} rules found" in ran.stdout.decode()


@pytest.mark.prometheus
def test_the_names_of_the_metrics_follow_prometheus() -> None:
    """Prometheus' linter of metrics finds nothing to report at /metrics."""
    ran = promtool("check", "metrics", text=generate_latest(metrics.REGISTRY_OF_ALL))

    assert [line for line in (ran.stdout + ran.stderr).splitlines() if b"samspil_" in line] == []
