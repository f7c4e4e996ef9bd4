"""The files for Prometheus and Grafana agree with the farm's metrics and commands, and Prometheus accepts them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from farm import errors
from farm.db import counters
from farm.metrics import GAUGES
from farm.nodes.registry import State
from farm.scheduling.doorbell import QUEUE_NAMES
from tests.test_docker import DOCKER, assert_is_farm_command

PROMETHEUS = DOCKER / "prometheus"
ALERTS = PROMETHEUS / "alerts.yml"
CONFIG: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DOCKER / "grafana" / "plinth.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PROMTOOL = shutil.which("promtool")

LABELS = (
    {name: set(labels) for name, (_, labels) in GAUGES.items()}
    | {f"{each.name}_total": set(each.labels) for each in counters.COUNTERS}
    | {
        f"{each.name}_{part}": {*each.labels, "le"}
        for each in counters.HISTOGRAMS
        for part in ("bucket", "sum", "count")
    }
)
VALUES = {
    "state": set(State.__args__),  # type: ignore[attr-defined]
    "queue": set(QUEUE_NAMES.values()),
    "status": {"done", "error"},
    "source": {"drawn", "cached"},
    "reason": set(vars(errors)),
}
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES}
EXPRESSIONS |= {f"{panel['title']} {query['refId']}": query["expr"] for panel in PANELS for query in panel["targets"]}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
def test_names_only_metrics_and_labels_of_the_farm(expression: str) -> None:
    used = re.findall(r"\b(plinth_\w+)(?:\{([^}]*)\})?", expression)
    assert used or "up{" in expression
    for name, matchers in used:
        assert name in LABELS
        for label, values in re.findall(r'(\w+)(?:=~|!=|=)"([^"]*)"', matchers):
            assert label in LABELS[name]
            assert set(values.split("|")) <= VALUES[label]
    grouped = [label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")]
    assert set(grouped) <= set().union(*(LABELS[name] for name, _ in used))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
class TestAlerts:
    def test_say_what_happened_and_what_to_run(self, rule: dict[str, Any]) -> None:
        assert set(rule["annotations"]) == {"summary", "description"}
        commands = re.findall(r"`(farm [^`]*)`", rule["annotations"]["description"])
        assert commands or "Start Redis" in rule["annotations"]["description"]
        for command in commands:
            assert_is_farm_command(command.split())

    def test_have_a_severity(self, rule: dict[str, Any]) -> None:
        assert rule["labels"] in ({"severity": "page"}, {"severity": "review"})


def test_alerts_are_all_tried_by_the_test_of_promtool() -> None:
    text = (Path(__file__).parent / "alerts_test.yml").read_text()
    assert [rule["alert"] for rule in RULES if rule["alert"] not in text] == []


class TestConfiguration:
    def test_scrapes_the_api_with_the_key_of_the_compose_file(self) -> None:
        [job] = CONFIG["scrape_configs"]
        assert job["job_name"] == "plinth"
        assert CONFIG["rule_files"] == [ALERTS.name]
        compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
        [secret] = compose["services"]["prometheus"]["secrets"]
        assert job["authorization"] == {"credentials_file": f"/run/secrets/{secret}"}
        assert secret in compose["secrets"]
        [target] = job["static_configs"][0]["targets"]
        assert target.partition(":")[0] in compose["services"]
        assert set(compose["services"]["prometheus"]["networks"]) & set(compose["services"]["api"]["networks"])

    def test_leaves_out_prometheus_and_grafana_by_default(self) -> None:
        services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
        for name in ("prometheus", "grafana"):
            assert services[name]["profiles"] == ["monitoring"]
            assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"])

    def test_mounts_existing_files(self) -> None:
        services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
        for name in ("prometheus", "grafana"):
            mounted = [volume.split(":")[0] for volume in services[name]["volumes"] if volume.startswith("./")]
            assert mounted
            assert all((DOCKER / path).exists() for path in mounted)


class TestDashboard:
    def test_places_panels_side_by_side(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in DASHBOARD["panels"]:
            place = panel["gridPos"]
            cells = {
                (place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])
            }
            assert max(column for column, _ in cells) < 24
            assert not taken & cells, panel["title"]
            taken |= cells

    def test_has_panels_with_ids_of_their_own_and_queries(self) -> None:
        ids = [panel["id"] for panel in DASHBOARD["panels"]]
        assert len(set(ids)) == len(ids)
        assert all(panel["targets"] for panel in PANELS)

    def test_lets_the_user_choose_the_source(self) -> None:
        [variable] = DASHBOARD["templating"]["list"]
        assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
        assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}

    def test_shows_every_metric_of_the_farm(self) -> None:
        text = json.dumps(DASHBOARD)
        shown = {name for name in LABELS if name in text}
        left_out = {"plinth_info", "plinth_frame_seconds", "plinth_credits_left", "plinth_purged_total"}
        assert set(LABELS) - shown - left_out <= {"plinth_render_seconds_sum"}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")
class TestPromtool:
    def test_accepts_configuration_and_rules(self) -> None:
        self.run("check", "config", "--syntax-only", str(PROMETHEUS / "prometheus.yml"))
        self.run("check", "rules", str(ALERTS))

    def test_sees_each_alert_fire_and_none_on_a_healthy_farm(self, tmp_path: Path) -> None:
        text = (Path(__file__).parent / "alerts_test.yml").read_text().replace("RULES", str(ALERTS))
        (tmp_path / "alerts_test.yml").write_text(text)
        self.run("test", "rules", str(tmp_path / "alerts_test.yml"))

    @staticmethod
    def run(*words: str) -> None:
        assert PROMTOOL is not None
        checked = subprocess.run([PROMTOOL, *words], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
