"""Our own OpenAPI document says everything that the gateway answers, and the gateway answers nothing else.

schemathesis makes requests from the document, fitting and unfitting ones, bounded and seeded; each answer is held to
it, and no schema lets a key through that it does not name.
"""

import asyncio
import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from litestar import Litestar
from litestar.handlers import ASGIRouteHandler
from nats.aio.client import Client
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from services.gateway import app as gateway_app
from services.gateway.dashboard.routes import is_inside
from services.gateway.routes import make_app
from shared.runtime.settings import ServiceSettings
from tests.contract.conftest import World
from tests.support import scale
from tests.support.gateway import running_gateway
from tests.support.http import ask
from tests.support.system import System

Json = dict[str, Any]

NOT_HTTP_API = {
    *("/openapi.json", "/docs", "/docs/{path:str}", "/docs/openapi.json"),
    *("/phone/v1/socket", "/mobile/v1", "/api/mobile/v1", "/device-in/v1"),
}
"""Routes that are no operations of programs: the document itself in its forms, and what phones speak."""

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="session")
async def document(system: System) -> Json:
    """The document of the running gateway."""
    answer = await ask(system.base_url, "GET", "/openapi.json")
    assert answer.status == 200, answer
    told: Json = answer.json()
    return told


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Each operation with its name."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def test_every_operation_has_an_id_of_its_own_and_is_described(document: Json) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for name, operation in operations(document):
        assert operation.get("summary"), name
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (name, parameter)
            assert not list(untyped(document, parameter["schema"], "schema")), (name, parameter)


def test_no_answer_is_untyped(document: Json) -> None:
    faults: list[str] = []
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            for kind, media in answer.get("content", {}).items():
                faults += untyped(document, media.get("schema", {}), f"{name} {status} {kind}")
    assert not faults, "\n".join(sorted(set(faults)))


def untyped(document: Json, schema: Json, where: str) -> Iterator[str]:
    """The places of a schema that would let anything through."""
    schema = resolved(document, schema)
    parts = [part for word in ("anyOf", "oneOf", "allOf") for part in schema.get(word, [])]
    for part in parts:
        yield from untyped(document, part, where)
    if parts or "enum" in schema or "const" in schema:
        return
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if kinds == [None]:
        yield f"{where}: no type"
    if "object" in kinds:
        values = schema.get("additionalProperties")
        if isinstance(values, dict) and values:
            yield from untyped(document, values, f"{where} .*")
        elif not schema.get("properties"):
            yield f"{where}: an object without properties"
        for name, value in schema.get("properties", {}).items():
            yield from untyped(document, value, f"{where} .{name}")
    if "array" in kinds:
        yield from untyped(document, schema.get("items", {}), f"{where} []")


def resolved(document: Json, schema: Json) -> Json:
    """The schema that a reference stands for."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def test_every_operation_says_its_errors(document: Json) -> None:
    for name, operation in operations(document):
        if "/health/" in name:
            continue
        if "/.well-known/" in name:
            assert {"200", "405", "503"} <= set(operation["responses"]), name
            continue
        refused = "401" if "/oauth2/" in name else "403"
        assert {"400", refused, "405", "413", "429", "503"} <= set(operation["responses"]), name
        assert any(status.startswith("2") for status in operation["responses"]), name
        assert ("422" in operation["responses"]) == ("/sendsms" in name), name
        for status in ("429", "503"):
            assert "Retry-After" in operation["responses"][status]["headers"], (name, status)


async def test_every_route_of_the_app_is_in_the_document(
    settings: ServiceSettings, nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Routes on plain ASGI handlers are added by hand, so they are compared with what is mounted."""
    made: list[Litestar] = []

    def noting(*arguments: Any, **named: Any) -> Litestar:
        made.append(make_app(*arguments, **named))
        return made[-1]

    monkeypatch.setattr(gateway_app, "make_app", noting)
    async with running_gateway(settings, nats_client) as gateway:
        document = (await gateway.ask("GET", "/openapi.json")).json()
    (app,) = made
    plain = {
        path for route in app.routes for path in [route.path] if isinstance(_handler(route), ASGIRouteHandler)
    } - NOT_HTTP_API
    assert {"/sendsms", "/log/sent/sms", "/getsms"} <= plain
    for path in plain:
        methods = {"get"} if "/.well-known/" in path else {"post"} if "/oauth2/" in path else {"get", "post"}
        for spelling in (path, f"{path}/") if "post" in methods else (path,):
            assert set(document["paths"].get(spelling, {})) == methods, spelling
    pages = {route.path for route in app.routes if is_inside(route.path)}
    served = {re.sub(r":\w+}", "}", route.path) for route in app.routes if route.path not in NOT_HTTP_API | pages}
    documented = {path.rstrip("/") for path in document["paths"]}
    assert documented == served


def _handler(route: Any) -> Any:
    return getattr(route, "route_handler", None) or route.route_handlers[0]


def strict(document: Json) -> Json:
    """The document with every answer's object closed: the keys that it names, all of them, and no other."""
    tightened = copy.deepcopy(document)
    for name, schema in tightened["components"]["schemas"].items():
        if schema.get("type") == "object" and "properties" in schema and name != "HTTPException":
            schema["additionalProperties"] = False
            schema["required"] = sorted(schema["properties"])
    return tightened


@pytest.mark.timeout(900)
# It runs beside the loop, whose own use of random Hypothesis takes for the strategies'.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
async def test_requests_made_from_the_document(world: World, document: Json) -> None:
    account = await world.fresh("probed")
    api = schemathesis.openapi.from_dict(strict(document))
    api.config.update(base_url=world.system.base_url)
    run_seed = scale.seed()
    faults: list[str] = []
    with requests.Session() as session:
        session.trust_env = False
        for found in api.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                fault = await asyncio.to_thread(probe, operation, mode, session, account.key, run_seed)
                faults += [fault] if fault else []
    assert not faults, f"seed {run_seed}\n" + "\n\n".join(faults)


def probe(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, session: requests.Session, key: str, start: int
) -> str | None:
    """Some requests of one operation; what was asked and answered when an answer is not as documented."""

    @seed(start)
    @settings(
        max_examples=scale.scaled(small=2, one=5, full=100),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def run(case: Case[Any]) -> None:
        case.call_and_validate(session=session, headers={"Authorization": f"Bearer {key}"}, checks=CHECKS, timeout=15)

    try:
        run()
    except Unsatisfiable:
        # What takes no input cannot be asked wrongly.
        assert mode is GenerationMode.NEGATIVE
        assert not list(operation.iter_parameters())
    except (Exception, FailureGroup) as problem:
        return f"{operation.label}, {mode}: {problem}"
    return None
