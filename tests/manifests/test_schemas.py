"""Every manifest is one that Kubernetes takes: core kinds by its own schemas, others by a list."""

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.manifests.rendered import CUSTOM, OVERLAYS, rendered

VERSIONS = ("1.32", kubernetes_validate.latest_version())
"""The oldest that docs/operations/kubernetes.md names, and the newest known."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_core_kinds_fit_their_schemas(overlay: str, version: str) -> None:
    for each in rendered(overlay):
        if (each["apiVersion"], each["kind"]) not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_custom_kinds_are_those_that_the_page_names(overlay: str) -> None:
    custom = {(each["apiVersion"], each["kind"]) for each in rendered(overlay) if "." in each["apiVersion"]}
    ours = {kind for kind in custom if not kind[0].split("/")[0].endswith((".k8s.io", "policy"))}
    assert ours <= CUSTOM


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_there_twice_and_everything_in_the_namespace(overlay: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)]
    assert len(names) == len(set(names))
    assert {each["metadata"].get("namespace") for each in rendered(overlay) if each["kind"] != "Namespace"} == {
        "smsfleet"
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_manifest_holds_a_secret(overlay: str) -> None:
    assert [each for each in rendered(overlay) if each["kind"] == "Secret"] == []
