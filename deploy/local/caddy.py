"""Caddy on one machine: ends TLS for a LAN under a certificate authority of this installation's own."""

import asyncio
import contextlib
import hashlib
import json
import ssl
from pathlib import Path
from string import Template
from typing import Any

from deploy.local.hosts import is_address
from deploy.local.paths import Home, make_folder, write_private
from deploy.local.processes import Program
from deploy.local.programs import bundled
from deploy.local.settings import Settings, Tls

NAME = "caddy"
LARGEST_BODY = 2 * 1024 * 1024
"""In bytes; the gateway's own limits are lower."""

_READY_S = 3.0
_CA = "local"
_PAGE = "page"


def root_certificate(home: Home) -> Path:
    """Return where the root certificate (PEM) stands, from the first start on."""
    return _folder(home) / "pki" / "authorities" / _CA / "root.crt"


def install(home: Home, settings: Settings, tls: Tls) -> Program:
    """Return how to run this installation's Caddy. Raise LocalError where it cannot work."""
    folder = _folder(home)
    make_folder(folder, 0o700)
    make_folder(folder / _PAGE, 0o700)
    configuration = _settings(home)
    write_private(configuration, json.dumps(_configuration(folder, settings, tls), indent=2))

    async def ready() -> bool:
        # Asked for an address, it answers for the one that was dialled; a name can be asked for anywhere.
        return await serves(home, next(each for each in tls.names if not is_address(each)), tls.port)

    return Program(
        name=NAME,
        argv=[bundled(NAME), "run", "--config", configuration],
        log=home.log(NAME),
        ready=ready,
        # What it keeps apart from its storage goes below HOME.
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        cwd=folder,
        stop_after_s=5.0,
        health_url=f"http://127.0.0.1:{tls.ca_port}/ca.crt",
    )


def publish(home: Home, tls: Tls) -> str:
    """Write the page that the root certificate is had from; return the certificate's SHA-256, as phones show it.

    Call it once Caddy is ready. Raise OSError where the page cannot be written.
    """
    import segno

    binary = ssl.PEM_cert_to_DER_cert(root_certificate(home).read_text())
    fingerprint = hashlib.sha256(binary).digest().hex(":").upper()
    code = segno.make(tls.ca_url, error="m").svg_inline(scale=6)
    text = _TEXT.substitute(machine=tls.machine, fingerprint=fingerprint, code=code)
    write_private(_folder(home) / _PAGE / "index.html", text)
    return fingerprint


def port_of(home: Home) -> int:
    """Return the port on which this installation's Caddy speaks https. Raise OSError or ValueError without one."""
    told = json.loads(_settings(home).read_text())
    return int(told["apps"]["http"]["servers"]["tls"]["listen"][0].removeprefix(":"))


async def serves(home: Home, name: str, port: int) -> bool:
    """Return whether the gateway answers through it, under a certificate that the root certificate vouches for."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_READY_S):
            trusting = ssl.create_default_context(cafile=root_certificate(home))
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
            try:
                writer.write(f"GET /health/live HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.transport.abort()
    return False


def _settings(home: Home) -> Path:
    return home.secrets / "caddy.json"


def _folder(home: Home) -> Path:
    return home.path / NAME


def _configuration(folder: Path, settings: Settings, tls: Tls) -> dict[str, Any]:
    root = {
        "match": [{"path": ["/ca.crt"]}],
        "handle": [
            {"handler": "rewrite", "uri": "/root.crt"},
            {
                "handler": "headers",
                "response": {"set": {"Content-Type": ["application/x-x509-ca-cert"], "Cache-Control": ["no-store"]}},
            },
            {"handler": "file_server", "root": str(folder / "pki" / "authorities" / _CA)},
        ],
        "terminal": True,
    }
    gateway = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": settings.local_address}],
        "transport": {"protocol": "http", "keep_alive": {"enabled": False}},
        # A gateway that is started again is waited for. A request that left is never repeated, not even a GET: some
        # send texts. So nothing matches what may be, and no connection is used twice (Go repeats a GET on such ones).
        "load_balancing": {"try_duration": "5s", "retries": 20, "retry_match": [{"method": ["NONE"]}]},
        # Streams of phones and of events pass at once, and may last for days.
        "flush_interval": -1,
        "stream_close_delay": "10s",
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "storage": {"module": "file_system", "root": str(folder)},
        "apps": {
            "http": {
                "grace_period": "2s",
                "servers": {
                    "tls": {
                        "listen": [f":{tls.port}"],
                        "protocols": ["h1", "h2"],
                        "read_header_timeout": "10s",
                        # For clients that name no server and dial an address that is not ours, as behind a router.
                        "tls_connection_policies": [{"default_sni": tls.names[0]}],
                        "automatic_https": {"disable": True},
                        "routes": [
                            root,
                            {"handle": [{"handler": "request_body", "max_size": LARGEST_BODY}, gateway]},
                        ],
                    },
                    # Without TLS: who fetches it does not trust us yet.
                    "ca": {
                        "listen": [f":{tls.ca_port}"],
                        "protocols": ["h1"],
                        "read_header_timeout": "10s",
                        "automatic_https": {"disable": True},
                        "routes": [root, {"handle": [{"handler": "file_server", "root": str(folder / _PAGE)}]}],
                    },
                },
            },
            "pki": {
                "certificate_authorities": {
                    _CA: {
                        "name": "SMSFleet",
                        "root_common_name": f"SMSFleet on {tls.machine}",
                        "install_trust": False,
                    }
                }
            },
            "tls": {
                "certificates": {"automate": list(tls.names)},
                "automation": {"policies": [{"issuers": [{"module": "internal", "ca": _CA}]}]},
            },
        },
    }


_TEXT = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SMSFleet on $machine</title>
<style>body { font: 1rem/1.5 sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
code { overflow-wrap: anywhere }</style>
<h1>SMSFleet on $machine</h1>
<p>A phone has to trust this server before it can connect. On the phone:</p>
<ol>
<li><a href="/ca.crt">Download the root certificate</a>.
<li>Settings, Security, Encryption &amp; credentials, Install a certificate, CA certificate (the words differ between
makers; searching the settings for &ldquo;CA certificate&rdquo; finds it); choose <code>ca.crt</code>.
<li>Settings, Trusted credentials, User: it is called &ldquo;SMSFleet on $machine&rdquo;, and its SHA-256 is the one
that <code>make up</code> printed:<br><code>$fingerprint</code>
</ol>
<p>This page on a phone:</p>
$code
</html>
""")
