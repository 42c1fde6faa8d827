"""deploy/kubernetes: against the schemas of Kubernetes, and the rules that we gave ourselves."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.routes import health
from tests.deploy_files.files import ROOT, Json, load, load_all, run, unknown_settings
from worker import GRACE

BASE = ROOT / "deploy/kubernetes"
DOCUMENTS = [
    document
    for name in load("deploy/kubernetes/kustomization.yaml")["resources"]
    for document in load_all((BASE / name).read_text())
]
DEPLOYMENTS = {one["metadata"]["name"]: one for one in DOCUMENTS if one["kind"] == "Deployment"}
LABEL = "app.kubernetes.io/name"

each = pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS.keys())


def only(kind: str, name: str | None = None) -> Json:
    [found] = [one for one in DOCUMENTS if one["kind"] == kind and name in {None, one["metadata"]["name"]}]
    return found


def pod(deployment: Json) -> Json:
    found: Json = deployment["spec"]["template"]["spec"]
    return found


def container(deployment: Json) -> Json:
    [found] = pod(deployment)["containers"]
    return dict(found)


# --- Kubernetes' own tools ---


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ran = run("kubectl", "kustomize", BASE)
    assert ran.returncode == 0, ran.stderr
    path = tmp_path_factory.mktemp("kubernetes") / "rendered.yaml"
    path.write_text(ran.stdout)
    return path


def test_the_manifests_fit_the_schemas_of_kubernetes(rendered: Path) -> None:
    ran = run("kubernetes-validate", "--strict", rendered)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (ran.stdout + ran.stderr).count(" passed ") == len(DOCUMENTS) + 1  # and the generated ConfigMap


def test_the_rule_that_lets_traces_out_is_one_once_it_is_no_comment(tmp_path: Path) -> None:
    text = (BASE / "network.yaml").read_text()
    [rule] = re.findall(r"^ +# - to:\n(?: +#   .*\n)+", text, re.MULTILINE)
    file = tmp_path / "network.yaml"
    file.write_text(text.replace(rule, rule.replace("# ", "")))
    ran = run("kubernetes-validate", "--strict", file)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    policies = {one["metadata"]["name"]: one["spec"] for one in load_all(file.read_text())}
    assert [{"port": 4318}] in [rule["ports"] for rule in policies["engine-to-its-parts"]["egress"]]


def test_a_field_that_kubernetes_does_not_know_is_refused(rendered: Path) -> None:
    wrong = rendered.with_name("wrong.yaml")
    wrong.write_text(rendered.read_text().replace("runAsNonRoot:", "runAsNobody:"))
    assert run("kubernetes-validate", "--strict", wrong).returncode != 0


def test_the_overlay_of_the_documentation_changes_what_it_says(tmp_path: Path) -> None:
    text = (ROOT / "docs/operations.md").read_text()
    [overlay] = re.findall(r"```yaml\n(# kustomization.yaml\n.*?)```", text, re.DOTALL)
    # kubectl takes a base from the file system by a relative path alone.
    (tmp_path / "base").mkdir()
    for file in BASE.iterdir():
        (tmp_path / "base" / file.name).write_text(file.read_text())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/kustomization.yaml").write_text(re.sub(r"resources: .*", "resources: [../base]", overlay))
    (tmp_path / "mine/sellers.toml").write_text("# mine\n")
    ran = run("kubectl", "kustomize", tmp_path / "mine")
    assert ran.returncode == 0, ran.stderr
    documents = list(load_all(ran.stdout))
    maps = {one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"}
    assert maps["order-engine"]["ORDER_ENGINE_PUBLIC_URL"] == "https://orders.yours.example"
    assert [data for name, data in maps.items() if name.startswith("order-engine-sellers-")] == [
        {"sellers.toml": "# mine\n"}
    ]
    images = {container(one)["image"] for one in documents if one["kind"] == "Deployment"}
    assert images == {"your-registry/order-engine:0.1.0"}


def test_every_selector_finds_the_pods_that_it_is_about(rendered: Path) -> None:
    documents = list(load_all(rendered.read_text()))
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in documents if one["kind"] == "Deployment"]
    for document in documents:
        for labels in selectors(document):
            assert any(labels.items() <= known.items() for known in pods), (document["metadata"]["name"], labels)


def selectors(document: Json) -> Iterator[dict[str, str]]:
    spec = document.get("spec", {})
    if document["kind"] == "Service":
        yield spec["selector"]
    elif "selector" in spec:
        yield spec["selector"]["matchLabels"]
    elif document["kind"] == "NetworkPolicy":
        yield spec["podSelector"].get("matchLabels", {})


# --- our rules ---


@each
def test_pods_meet_the_restricted_standard(deployment: Json) -> None:
    """As the namespace demands: https://kubernetes.io/docs/concepts/security/pod-security-standards/."""
    security = pod(deployment)["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(deployment)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(deployment)["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod(deployment))
    assert only("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@each
def test_pods_say_what_they_need_and_write_to_memory_alone(deployment: Json) -> None:
    resources = container(deployment)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert "memory" in resources["limits"]
    volumes = {volume["name"]: volume for volume in pod(deployment)["volumes"]}
    for mount in container(deployment)["volumeMounts"]:
        volume = volumes[mount["name"]]
        assert mount.get("readOnly") or volume["emptyDir"]["medium"] == "Memory"


def test_every_setting_is_one_that_is_read_and_none_is_a_secret() -> None:
    settings = only("ConfigMap")["data"]
    assert unknown_settings(set(settings)) == set()
    assert not [name for name in settings if re.search("KEY|SECRET|DATABASE|TOKEN", name)]
    text = (BASE / "settings.yaml").read_text()
    assert unknown_settings(set(re.findall(r"\b(?:ORDER_ENGINE|TEMPORAL)_\w+", text))) == set()


@pytest.mark.parametrize("deployment", [DEPLOYMENTS["worker"], DEPLOYMENTS["api"]], ids=["worker", "api"])
def test_settings_and_secrets_come_by_name(deployment: Json) -> None:
    assert container(deployment)["envFrom"] == [
        {"configMapRef": {"name": "order-engine"}},
        {"secretRef": {"name": "order-engine"}},
    ]
    assert "env" not in container(deployment)
    assert not [one for one in DOCUMENTS if one["kind"] == "Secret"]


def test_the_codec_is_told_no_secret_that_it_does_not_need() -> None:
    codec = container(DEPLOYMENTS["codec"])
    assert "envFrom" not in codec
    given = {name: value for one in codec["env"] for name, value in [(one["name"], one["valueFrom"])]}
    assert unknown_settings(set(given)) == set()
    secret = {name for name, value in given.items() if value.get("secretKeyRef", {}).get("key") == name}
    assert secret == {"ORDER_ENGINE_ENCRYPTION_KEYS", "ORDER_ENGINE_OPERATOR_KEYS"}
    settings = {value["configMapKeyRef"]["key"] for name, value in given.items() if name not in secret}
    assert settings == set(given) - secret <= set(only("ConfigMap")["data"])


def test_the_image_is_pinned_in_one_place() -> None:
    [image] = load("deploy/kubernetes/kustomization.yaml")["images"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", image["newTag"])
    assert {container(deployment)["image"] for deployment in DEPLOYMENTS.values()} == {image["name"]}


def test_a_worker_that_ends_has_the_time_that_it_takes() -> None:
    worker = pod(DEPLOYMENTS["worker"])
    assert worker["terminationGracePeriodSeconds"] >= GRACE.total_seconds() + 5
    assert "lifecycle" not in container(DEPLOYMENTS["worker"])
    assert DEPLOYMENTS["worker"]["spec"]["replicas"] == 2


def test_the_api_is_probed_where_it_answers() -> None:
    paths = {route.path for route in health.router.routes if hasattr(route, "path")}
    api = container(DEPLOYMENTS["api"])
    probes = {name: api[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert set(probes.values()) == paths
    # What is away must not make Kubernetes kill the API, which still reads orders from its record.
    assert probes["livenessProbe"] == "/health/live"
    assert probes["readinessProbe"] == "/health/ready"


def test_the_worker_is_probed_at_its_page_of_metrics() -> None:
    worker = container(DEPLOYMENTS["worker"])
    assert {worker[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe")} == {"/live"}
    ports = {port["name"]: port["containerPort"] for port in worker["ports"]}
    settings = only("ConfigMap")["data"]
    assert settings["ORDER_ENGINE_METRICS_ADDRESS"] == f"0.0.0.0:{ports['metrics']}"
    assert settings["ORDER_ENGINE_TEMPORAL_METRICS_ADDRESS"] == f"0.0.0.0:{ports['sdk-metrics']}"
    allowed = only("NetworkPolicy", "metrics-from-monitoring")["spec"]["ingress"][0]["ports"]
    assert {one["port"] for one in allowed} == set(ports)


@each
def test_one_pod_at_a_time_may_be_taken_away(deployment: Json) -> None:
    name = deployment["metadata"]["name"]
    assert only("PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_api_is_scaled_by_its_load() -> None:
    scaler = only("HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"]["name"] == "api"
    assert scaler["minReplicas"] == 2
    # A number of its own would undo the autoscaler's at each "apply".
    assert "replicas" not in DEPLOYMENTS["api"]["spec"]


def test_traffic_that_nobody_named_is_denied() -> None:
    denied = only("NetworkPolicy", "default-deny")["spec"]
    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    out = only("NetworkPolicy", "engine-to-its-parts")["spec"]["egress"]
    [internet] = [rule for rule in out if "ipBlock" in rule["to"][0]]
    assert internet["ports"] == [{"port": 443}]
    # Where clouds tell an instance its credentials.
    assert "169.254.0.0/16" in internet["to"][0]["ipBlock"]["except"]
