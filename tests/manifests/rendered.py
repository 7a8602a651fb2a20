"""The overlays as kubectl renders them."""

import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "k8s"
OVERLAYS = ("dev", "production")
CUSTOM = {("postgresql.cnpg.io/v1", "Cluster"), ("keda.sh/v1alpha1", "ScaledObject")}
"""The kinds that operators bring, for which there is no schema here."""

Manifest = dict[str, Any]


@functools.cache
def rendered(overlay: str) -> tuple[Manifest, ...]:
    """Every manifest of an overlay."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER / "overlays" / overlay)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> list[Manifest]:
    """The overlay's manifests of these kinds."""
    return [each for each in rendered(overlay) if each["kind"] in kinds]


def pod_templates(overlay: str) -> Iterator[tuple[str, Manifest]]:
    """Name and pod template of everything that runs pods of ours."""
    for each in of_kind(overlay, "Deployment", "StatefulSet", "Job"):
        yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]


def containers(overlay: str) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Name, pod specification and container, for each container."""
    for name, template in pod_templates(overlay):
        spec = template["spec"]
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            yield f"{name}/{container['name']}", spec, container


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches everything."""
    for rule in selector.get("matchExpressions", ()):
        assert rule["operator"] == "In", "the only operator that is used here"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
