"""Our own rules for what runs in a cluster: bounded, watched, without rights, reached only by whom it must serve."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.compose.secrets import TEMPLATE
from services.auth.settings import AuthSettings
from services.dispatcher.settings import DispatcherSettings
from services.gateway.phones.connections import SHUTDOWN_S
from services.gateway.settings import GatewaySettings
from services.webhooks.delivery import DRAIN_S
from services.webhooks.settings import WebhooksSettings
from shared.bus.worker import FINISH_S
from shared.contracts import registry
from shared.db.privileges import OWNED, PARTITIONED, SERVICES, role_of
from shared.runtime.serving import FIRST_REQUEST_S, IN_FLIGHT_S
from tests.manifests.rendered import OVERLAYS, containers, of_kind, pod_templates, rendered, selects

KINDS: dict[str, type[msgspec.Struct]] = {
    "gateway": GatewaySettings,
    "dispatcher": DispatcherSettings,
    "webhooks": WebhooksSettings,
    "auth": AuthSettings,
}

CLOSING_S = 10
"""What closing tasks and connections may take besides."""

pytestmark = pytest.mark.parametrize("overlay", OVERLAYS)


def test_every_container_is_bounded_and_without_rights(overlay: str) -> None:
    seen = 0
    for name, pod, container in containers(overlay):
        seen += 1
        resources, rights = container["resources"], container["securityContext"]
        for bound in ("requests", "limits"):
            assert set(resources[bound]) == {"cpu", "memory"}, name
        assert rights["allowPrivilegeEscalation"] is False, name
        assert rights["readOnlyRootFilesystem"] is True, name
        assert rights["capabilities"] == {"drop": ["ALL"]}, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
    assert seen == 8


def test_every_container_that_stays_is_probed(overlay: str) -> None:
    for name, _, container in containers(overlay):
        if not name.startswith("Job "):
            assert {"livenessProbe", "readinessProbe"} <= set(container), name


def test_every_image_has_a_version_and_no_registry(overlay: str) -> None:
    for name, _, container in containers(overlay):
        image, _, tag = container["image"].rpartition(":")
        assert image, name
        assert tag != "latest", name
        assert re.fullmatch(r"\d[\w.-]*", tag), name
        assert "." not in image.split("/")[0], f"{name}: the registry is the cluster's own affair"


def test_every_service_stands_behind_a_policy(overlay: str) -> None:
    policies = [
        each["spec"]["podSelector"]
        for each in of_kind(overlay, "NetworkPolicy")
        if each["spec"]["podSelector"] and "Ingress" in each["spec"]["policyTypes"]
    ]
    templates = [template["metadata"]["labels"] for _, template in pod_templates(overlay)]
    for service in of_kind(overlay, "Service"):
        wanted = service["spec"]["selector"]
        behind = [labels for labels in templates if wanted.items() <= labels.items()]
        assert behind, f"{service['metadata']['name']} selects no pods"
        assert all(any(selects(policy, labels) for policy in policies) for labels in behind)
    everyone = [each for each in of_kind(overlay, "NetworkPolicy") if each["spec"]["podSelector"] == {}]
    assert any(
        set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"} and len(each["spec"]) == 2 for each in everyone
    )


def test_each_policy_selects_somebody(overlay: str) -> None:
    labels = [template["metadata"]["labels"] for _, template in pod_templates(overlay)]
    labels.append({"cnpg.io/cluster": "postgres"})
    for policy in of_kind(overlay, "NetworkPolicy"):
        selector = policy["spec"]["podSelector"]
        assert any(selects(selector, each) for each in labels), policy["metadata"]["name"]


def test_what_has_replicas_survives_a_drained_node(overlay: str) -> None:
    budgets = [each["spec"]["selector"] for each in of_kind(overlay, "PodDisruptionBudget")]
    for each in of_kind(overlay, "Deployment", "StatefulSet"):
        labels = each["spec"]["template"]["metadata"]["labels"]
        if labels["part"] == "services" or each["kind"] == "StatefulSet":
            assert any(selects(budget, labels) for budget in budgets), each["metadata"]["name"]
            assert each["spec"]["template"]["spec"]["topologySpreadConstraints"]


def test_each_service_is_given_its_own_secrets_only(overlay: str) -> None:
    for service in KINDS:
        (container,) = [one for name, _, one in containers(overlay) if name == f"Deployment {service}/main"]
        assert container["command"] == ["smsfleet", service]
        keys = {each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"] if "valueFrom" in each}
        others = [f"_{other.upper()}" for other in (*KINDS, "provision", "cli") if other != service]
        assert not [key for key in keys if key.endswith(tuple(others))]
        assert f"SMSFLEET_NATS_SEED_{service.upper()}" in keys


def test_every_setting_is_one_that_the_service_knows(overlay: str) -> None:
    (shared,) = [
        each["data"] for each in of_kind(overlay, "ConfigMap") if each["metadata"]["name"].startswith("settings")
    ]
    known_somewhere = {f"SMSFLEET_{field.upper()}" for kind in KINDS.values() for field in kind.__struct_fields__}
    assert set(shared) <= known_somewhere
    for service, kind in KINDS.items():
        (container,) = [one for name, _, one in containers(overlay) if name == f"Deployment {service}/main"]
        given = {each["name"] for each in container["env"] if each["name"].startswith("SMSFLEET_")}
        assert given <= {f"SMSFLEET_{field.upper()}" for field in kind.__struct_fields__}


def test_secrets_are_those_that_init_makes(overlay: str) -> None:
    made = set(re.findall(r"^(SMSFLEET_\w+)=", TEMPLATE.read_text(), re.MULTILINE))
    used = {
        each["valueFrom"]["secretKeyRef"]["key"]
        for _, _, container in containers(overlay)
        for each in container["env"]
        if "secretKeyRef" in each.get("valueFrom", {})
    }
    assert used <= made


def test_postgres_has_each_services_role_and_the_owner_can_migrate(overlay: str) -> None:
    (cluster,) = of_kind(overlay, "Cluster")
    roles: dict[str, Any] = {each["name"]: each for each in cluster["spec"]["managed"]["roles"]}
    assert set(roles) == {"smsfleet", *map(role_of, SERVICES)}
    writers = {role_of(service) for service in SERVICES if set(OWNED[service]) & set(PARTITIONED)}
    assert set(roles["smsfleet"]["inRoles"]) == writers


def test_streams_are_kept_on_as_many_servers_as_there_are(overlay: str) -> None:
    (nats,) = of_kind(overlay, "StatefulSet")
    (told,) = [
        each["data"] for each in of_kind(overlay, "ConfigMap") if each["metadata"]["name"].startswith("nats-settings")
    ]
    assert int(told["SMSFLEET_NATS_REPLICAS"]) == nats["spec"]["replicas"]
    (claim,) = nats["spec"]["volumeClaimTemplates"]
    size = claim["spec"]["resources"]["requests"]["storage"]
    assert size.endswith("Gi")
    assert int(told["SMSFLEET_NATS_STORE_ALL"]) == int(told["SMSFLEET_NATS_STORE"]) * nats["spec"]["replicas"]
    assert int(told["SMSFLEET_NATS_STORE"]) <= int(size.removesuffix("Gi")) * 2**30 * 0.8


def test_nats_is_configured_by_the_files_that_compose_uses(overlay: str) -> None:
    folder = Path(__file__).parents[2] / "deploy" / "nats"
    (told,) = [
        each["data"] for each in of_kind(overlay, "ConfigMap") if each["metadata"]["name"].startswith("nats-config")
    ]
    assert told == {name: (folder / name).read_text() for name in ("nats.conf", "accounts.conf")}


def test_workers_are_scaled_by_consumers_that_exist(overlay: str) -> None:
    declared = {(each.stream.name, each.name) for each in registry.DURABLES}
    scaled = set()
    for each in of_kind(overlay, "ScaledObject"):
        for trigger in each["spec"]["triggers"]:
            consumer = (trigger["metadata"]["stream"], trigger["metadata"]["consumer"])
            assert consumer[1].startswith(each["metadata"]["name"])
            scaled.add(consumer)
    assert scaled == (declared if overlay == "production" else set())


def test_every_manifest_belongs_to_a_step_of_the_roll_out(overlay: str) -> None:
    for each in rendered(overlay):
        part = each["metadata"].get("labels", {}).get("part")
        if each["kind"] == "ConfigMap":
            assert part is None
        else:
            assert part in ("servers", "migrate", "services", "operator"), each["metadata"]["name"]


def test_an_ingress_repeats_no_request(overlay: str) -> None:
    for each in of_kind(overlay, "Ingress"):
        # GET /sendsms/ sends a text, and proxies repeat a GET by themselves.
        assert each["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-next-upstream"] == "off"


def test_a_gateway_leaves_the_endpoints_before_it_takes_no_more_connections(overlay: str) -> None:
    (container,) = [one for name, _, one in containers(overlay) if name == "Deployment gateway/main"]
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5


def test_each_service_may_end_what_it_has_begun(overlay: str) -> None:
    settings = GatewaySettings(nats_url="", database_url="")
    gateway_s = settings.leave_s + FIRST_REQUEST_S + settings.drain_s + SHUTDOWN_S + IN_FLIGHT_S
    webhooks_s = FINISH_S + DRAIN_S
    longest_s = {"gateway": gateway_s, "dispatcher": FINISH_S, "webhooks": webhooks_s, "auth": FINISH_S}
    for service, seconds in longest_s.items():
        ((pod, container),) = [
            (pod, one) for name, pod, one in containers(overlay) if name == f"Deployment {service}/main"
        ]
        before_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] >= before_s + seconds + CLOSING_S, service


def test_one_after_another_is_replaced_and_never_below_the_number(overlay: str) -> None:
    for each in of_kind(overlay, "Deployment"):
        if each["metadata"]["labels"]["part"] == "services":
            assert each["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
