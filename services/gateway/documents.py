"""The OpenAPI document and a page that shows it: rendered here, with no script and nothing from another host."""

from collections.abc import Callable
from html import escape
from typing import Any

import msgspec
from litestar import Request
from litestar.enums import MediaType, OpenAPIMediaType
from litestar.openapi.plugins import OpenAPIRenderPlugin

Json = dict[str, Any]

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; font-size: 1.15rem }
code { font-size: .95em }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }
"""


class Document(OpenAPIRenderPlugin):
    """The document as JSON."""

    def __init__(
        self, *, path: str, extra_paths: Json, extra_schemas: Json, finish: Callable[[Json], Json] = lambda paths: paths
    ) -> None:
        """`extra_paths` and `extra_schemas`: what Litestar does not see; `finish` adds to the paths that it does."""
        super().__init__(path=path, media_type=OpenAPIMediaType.OPENAPI_JSON)
        self._paths = extra_paths
        self._schemas = extra_schemas
        self._finish = finish

    def merged(self, found: Json) -> Json:
        """Litestar's document with what was added by hand."""
        components = found.get("components", {})
        return found | {
            "paths": dict(sorted((self._finish(found.get("paths", {})) | self._paths).items())),
            "components": components
            | {
                "schemas": components.get("schemas", {}) | self._schemas,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "basic": {"type": "http", "scheme": "basic"},
                    "apikey": {"type": "apiKey", "in": "query", "name": "apikey"},
                },
            },
        }

    def render(self, request: Request[Any, Any, Any], openapi_schema: Json) -> bytes:  # noqa: ARG002
        """The JSON bytes."""
        return msgspec.json.encode(self.merged(openapi_schema))


class Page(OpenAPIRenderPlugin):
    """The document for people."""

    def __init__(self, *, path: str, document: Document) -> None:
        """Shows this document."""
        super().__init__(path=path, media_type=MediaType.HTML)
        self._document = document

    def render(self, request: Request[Any, Any, Any], openapi_schema: Json) -> bytes:  # noqa: ARG002
        """The page's bytes."""
        return page(self._document.merged(openapi_schema)).encode()


def page(document: Json) -> str:
    """An HTML page that lists every operation of an OpenAPI document with its parameters and answers."""
    info = document["info"]
    operations = [
        _operation(method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{escape(info.get('description') or '')}</p>"
        f'<p>The same for programs: <a href="/openapi.json">/openapi.json</a></p>'
        f"{''.join(operations)}</body></html>"
    )


def _operation(method: str, path: str, operation: Json) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code>{' *' if parameter.get('required') else ''}</td>"
        f"<td>{escape(_kind(parameter.get('schema', {})))}</td>"
        f"<td>{escape(parameter.get('description') or '')}</td></tr>"
        for parameter in operation.get("parameters", [])
    )
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{escape(answer.get('description') or '')}</td></tr>"
        for status, answer in operation.get("responses", {}).items()
    )
    table = f"<table><tr><th>Parameter</th><th>Type</th><th></th></tr>{parameters}</table>" if parameters else ""
    return (
        f"<h2><code>{escape(method.upper())} {escape(path)}</code> {escape(operation.get('summary') or '')}</h2>"
        f"<p>{escape(operation.get('description') or '')}</p>{table}"
        f"<table><tr><th>Status</th><th></th></tr>{answers}</table>"
    )


def _kind(schema: Json) -> str:
    choice = [value for value in schema.get("enum", []) if value]
    if not choice:
        choice = [part["type"] for part in schema.get("anyOf", [schema]) if "type" in part]
    return " or ".join(choice)
