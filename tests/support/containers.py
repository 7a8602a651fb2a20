"""The tests' servers as containers, made by testcontainers where a Docker engine is."""

import contextlib
from collections.abc import Iterator

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from tests.support.servers import Servers


@contextlib.contextmanager
def start_containers() -> Iterator[Servers]:
    """postgres:18, nats:2.15 with JetStream and valkey:9 while the context is open."""
    postgres = (
        DockerContainer("postgres:18")
        .with_env("POSTGRES_PASSWORD", "test")
        .with_exposed_ports(5432)
        .waiting_for(LogMessageWaitStrategy("listening on IPv4 address"))
    )
    bus = (
        DockerContainer("nats:2.15")
        .with_command("-js")
        .with_exposed_ports(4222)
        .waiting_for(LogMessageWaitStrategy("Server is ready"))
    )
    valkey = (
        DockerContainer("valkey/valkey:9")
        .with_exposed_ports(6379)
        .waiting_for(LogMessageWaitStrategy("Ready to accept connections"))
    )
    with postgres, bus, valkey:
        yield Servers(
            f"postgresql://postgres:test@127.0.0.1:{postgres.get_exposed_port(5432)}/postgres",
            f"nats://127.0.0.1:{bus.get_exposed_port(4222)}",
            None,
            f"redis://127.0.0.1:{valkey.get_exposed_port(6379)}",
        )
