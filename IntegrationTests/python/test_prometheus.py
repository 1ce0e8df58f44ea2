"""What is shipped for Prometheus: the alerts by promtool, and a real Prometheus that watches real servers whose devices fail."""
import contextlib
import json
import pathlib
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

import apus

OPS = apus.ROOT / "ops"
RULES = OPS / "prometheus/apus.rules.yml"
TOOLS = apus.ROOT / ".apus/test-tools"
MODEL = "bert-mean"

# What a failing device does, and how it ends. Three deaths of its own doing are forgiven within ten minutes, a fourth is not.
RECOVERS = "sim:0:sticky@20x3"
GIVEN_UP = "sim:0:sticky@5x1000"


def promtool(*arguments, stdin=None):
    done = subprocess.run([str(TOOLS / "promtool"), *map(str, arguments)], input=stdin, capture_output=True, timeout=120, cwd=OPS / "prometheus")
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_the_alerts_and_the_example_are_well_formed():
    promtool("check", "rules", RULES)
    promtool("check", "config", OPS / "prometheus/prometheus.yml")


def test_every_alert_fires_when_it_should_and_only_then():
    promtool("test", "rules", OPS / "prometheus/apus.rules.test.yml")


class Prometheus:
    """The real one, on a free port, with the shipped rules. Scrapes and rules run in fractions of a second, so that a device's
    short failures are seen, and every alert's `for` is set to 0s, so that they need not last for minutes; nothing else is changed."""

    def __init__(self, folder, targets):
        self.port = apus.free_port()
        rules = re.sub(r"^( +for:) .*$", r"\1 0s", RULES.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (folder / "apus.rules.yml").write_text(rules, encoding="utf-8")
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "400ms", "scrape_timeout": "400ms", "evaluation_interval": "500ms"},
            "rule_files": ["apus.rules.yml"],
            "scrape_configs": [{"job_name": "apus", "static_configs": [{"targets": targets}]}],
        }), encoding="utf-8")
        self.log = folder / "prometheus.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(TOOLS / "prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def query(self, expression):
        """An instant query: {labels: value}."""
        assert self.process.poll() is None, self.log.read_text()
        address = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(address, timeout=30) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return {tuple(sorted(sample["metric"].items())): float(sample["value"][1]) for sample in answer["data"]["result"]}

    def value(self, expression):
        """The one sample of an expression, or None."""
        found = list(self.query(expression).values())
        assert len(found) < 2, f"{expression} has {len(found)} samples"
        return found[0] if found else None

    def wait_for(self, what, condition, seconds=90):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # while it starts
                if condition():
                    return
            time.sleep(0.2)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.query('ALERTS')}\n{self.query('apus_device_stage == 1')}")

    def firing(self, alert, instance, **labels):
        """Whether the alert fires now."""
        return bool(self.query(f"ALERTS{{{selector(alertname=alert, alertstate='firing', instance=instance, **labels)}}}"))

    def has_fired(self, alert, instance, **labels):
        """Whether the alert fired in any evaluation of the rules."""
        return bool(self.query(f"max_over_time(ALERTS{{{selector(alertname=alert, alertstate='firing', instance=instance, **labels)}}}[1h])"))


def selector(**labels):
    return ", ".join(f'{name}="{value}"' for name, value in labels.items())


class Load:
    """One client that asks again and again, and remembers every status."""

    def __init__(self, server):
        self.server, self.statuses, self.ending = server, [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ending.is_set():
            self.statuses.append(self.server.embed(["a swift sleeps", "on the wing"], model=MODEL).status)
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ending.set()
        self.thread.join()


def failing_server(chaos):
    return apus.Server("--model", apus.TINY / MODEL, "--devices", "sim:2", "--chaos", chaos)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """One Prometheus, two servers with a device that fails under load: one of them recovers, the other is given up."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(failing_server(chaos)) for chaos in (RECOVERS, GIVEN_UP)]
        names = [f"127.0.0.1:{server.port}" for server in servers]
        prometheus = stack.enter_context(Prometheus(tmp_path_factory.mktemp("prometheus"), names))
        prometheus.wait_for("both servers are scraped", lambda: prometheus.value('sum(up{job="apus"})') == 2)
        loads = [stack.enter_context(Load(server)) for server in servers]
        yield prometheus, dict(zip(("recovers", "given up"), zip(servers, names, loads)))


def test_an_alert_fires_while_a_device_is_away_and_resolves_when_it_is_back(watched):
    prometheus, servers = watched
    _, instance, load = servers["recovers"]
    here = selector(instance=instance, device="sim:0")
    prometheus.wait_for("three workers are replaced and the device serves again", lambda: (
        prometheus.value(f'apus_device_restarts_total{{cause="sticky", {here}}}') == 3
        and prometheus.value(f"apus_device_up{{{here}}}") == 1))
    for alert in ("ApusDeviceDown", "ApusDeviceFallbackTemporary"):
        assert prometheus.has_fired(alert, instance, device="sim:0"), alert
        assert not prometheus.has_fired(alert, instance, device="sim:1"), alert
    assert prometheus.has_fired("ApusCapacityReduced", instance)
    prometheus.wait_for("the alerts resolve", lambda: not any(
        prometheus.firing(alert, instance) for alert in ("ApusDeviceDown", "ApusDeviceFallbackTemporary")))
    for alert in ("ApusNoDevice", "ApusErrors", "ApusDeviceFallbackPermanent"):
        assert not prometheus.has_fired(alert, instance), alert
    assert prometheus.value(f"apus_device_recovery_seconds_count{{{here}}}") >= 3
    assert prometheus.value(f'sum(apus_replays_total{{instance="{instance}", cause="device_poisoned"}})') >= 3
    assert prometheus.value(f'sum(apus_device_batches_total{{outcome="device_poisoned", {here}}})') == 3
    assert load.statuses and set(load.statuses) == {200}


def test_a_device_that_is_given_up_is_an_alert_that_stays(watched):
    prometheus, servers = watched
    _, instance, load = servers["given up"]
    prometheus.wait_for("the device is given up", lambda: prometheus.firing("ApusDeviceFallbackPermanent", instance, device="sim:0"))
    assert prometheus.value(f"apus_device_stage{{{selector(instance=instance, device='sim:0', stage='quarantined')}}}") == 1
    assert prometheus.value(f'sum(apus_device_restarts_total{{instance="{instance}", device="sim:0"}})') == 4
    assert prometheus.firing("ApusDeviceDown", instance, device="sim:0")
    assert prometheus.value(f'gpu_health_status{{instance="{instance}", gpu_id="sim:0"}}') == 0
    assert prometheus.value(f'apus_device_up{{instance="{instance}", device="sim:1"}}') == 1
    asked = len(load.statuses)
    prometheus.wait_for("the other device serves on", lambda: len(load.statuses) > asked + 20)
    assert set(load.statuses) == {200}
    assert prometheus.firing("ApusDeviceFallbackPermanent", instance, device="sim:0")


def test_a_test_mode_is_never_silent(watched):
    prometheus, servers = watched
    for _, instance, _ in servers.values():
        prometheus.wait_for("the alert for --chaos", lambda: prometheus.firing("ApusChaosActive", instance))


def test_what_a_simulated_accelerator_tells_arrives(watched):
    prometheus, servers = watched
    _, instance, _ = servers["recovers"]
    for name in ("gpu_memory_used_bytes", "gpu_memory_available_bytes", "gpu_utilization_percent", "gpu_temperature_celsius",
                 "gpu_health_status"):
        ids = {dict(labels)["gpu_id"] for labels in prometheus.query(f'{name}{{instance="{instance}"}}')}
        assert ids == {"sim:0", "sim:1"}, name
    for name in ("allocated", "reserved", "max_allocated", "total"):
        assert prometheus.value(f'apus_device_memory_{name}_bytes{{{selector(instance=instance, device="sim:1")}}}') > 0, name


def test_the_dashboards_queries_are_understood(watched):
    prometheus, _ = watched
    dashboard = json.loads((OPS / "grafana/apus.json").read_text(encoding="utf-8"))
    asked, answered = 0, 0
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = re.sub(r"\$(instance|device|model|gpu)\b", ".*", target["expr"]).replace("$__rate_interval", "1m")
            asked += 1
            answered += bool(prometheus.query(expression))
    assert asked > 40
    # The others ask for what has not happened here.
    assert answered > asked / 2


def test_the_exposition_passes_promtools_lint(watched):
    _, servers = watched
    for server, _, _ in servers.values():
        promtool("check", "metrics", stdin=server.get("/metrics").body)


def test_a_server_that_is_gone_is_an_alert(watched):
    prometheus, servers = watched
    server, instance, load = servers["given up"]
    load.stop()
    assert server.signal_and_wait() == 0, server.output()
    other = servers["recovers"][1]
    prometheus.wait_for("the alert, for this server alone", lambda: (
        prometheus.firing("ApusServerDown", instance) and not prometheus.firing("ApusServerDown", other)))
