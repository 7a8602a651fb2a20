"""Makes the streams, buckets and consumers that the registry declares; the only code that may. Run it again at will."""

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from shared.contracts.registry import BUCKETS, DURABLES, STREAMS, Bucket, Durable, Stream
from shared.errors import Startup

log = structlog.get_logger()

DEFAULT_STORE_BYTES = 1 << 30
"""What the streams share when the server's own limit is not known, in bytes."""


async def provision(client: Client, replicas: int = 1) -> None:
    """Creates or updates every stream, bucket and consumer. Raises Startup when the server refuses."""
    jetstream = client.jetstream(timeout=10)
    try:
        account = await jetstream.account_info()
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
        raise Startup(f"JetStream does not answer yet: {error!r}") from error
    limit = account.limits.max_storage
    # The account's limit counts every copy.
    store = limit // replicas if limit and limit > 0 else DEFAULT_STORE_BYTES
    for stream in STREAMS:
        await _made(jetstream, _stream(stream, int(store * stream.share), replicas))
    for bucket in BUCKETS:
        await _made(jetstream, _bucket(bucket, int(store * bucket.share), replicas))
    for durable in DURABLES:
        await _durable(jetstream, durable, replicas)


def _stream(stream: Stream, max_bytes: int, replicas: int) -> StreamConfig:
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_bytes=max_bytes,
        max_msg_size=1024 * 1024,
        num_replicas=replicas,
        duplicate_window=120,
    )


def _bucket(bucket: Bucket, max_bytes: int, replicas: int) -> StreamConfig:
    """As every client of JetStream expects of a bucket, so that `nats kv` can look into it."""
    return StreamConfig(
        name=bucket.stream,
        subjects=[bucket.subject(">")],
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_age=bucket.ttl_s,
        max_bytes=max_bytes,
        max_msgs_per_subject=1,
        num_replicas=replicas,
        duplicate_window=120,
        allow_rollup_hdrs=True,
        allow_direct=True,
        deny_delete=True,
    )


async def _made(jetstream: JetStreamContext, config: StreamConfig) -> None:
    assert config.name is not None
    try:
        try:
            await jetstream.stream_info(config.name)
            await jetstream.update_stream(config)
        except NotFoundError:
            await jetstream.add_stream(config)
    except Exception as error:
        raise Startup(f"NATS refuses the stream {config.name}: {error}") from error
    log.info("stream ready", stream=config.name, max_bytes=config.max_bytes, replicas=config.num_replicas)


async def _durable(jetstream: JetStreamContext, durable: Durable, replicas: int) -> None:
    config = ConsumerConfig(
        durable_name=durable.name,
        filter_subject=durable.subject,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=durable.ack_wait_s,
        max_deliver=-1,
        max_ack_pending=durable.max_ack_pending,
        deliver_policy=DeliverPolicy.ALL,
        num_replicas=replicas,
    )
    await jetstream.add_consumer(durable.stream.name, config)
