"""Request/reply over NATS: the asking side and the answering side, both typed by the registry."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic

import msgspec
import nats.errors
import structlog
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.client import Client
from prometheus_client import Counter, Histogram

from shared.bus.worker import undecoded
from shared.contracts.registry import Reply, Request, Rpc
from shared.contracts.rpc.answers import RpcError
from shared.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    SmsFleetError,
    StaleSession,
    Unavailable,
)

log = structlog.get_logger()

PATIENCE_S: Final = 5.0
"""How long an answer is waited for, in seconds."""

MAX_WAITING_REQUESTS = 256
"""Requests of one responder that run at once; more wait in NATS' own bounded buffers."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

ASKED = Counter("smsfleet_rpc_asked", "Questions to other services, by what came back", ["rpc", "outcome"])
ASKED_SECONDS = Histogram("smsfleet_rpc_asked_seconds", "How long they took", ["rpc"], buckets=_BUCKETS)
ANSWERED = Counter("smsfleet_rpc_answered", "Questions of other services, by the kind of answer", ["rpc", "outcome"])
ANSWERED_SECONDS = Histogram("smsfleet_rpc_answered_seconds", "How long they took", ["rpc"], buckets=_BUCKETS)

_encode = msgspec.msgpack.Encoder().encode


class RpcClient:
    """Asks the owners of the rows."""

    def __init__(self, client: Client, patience_s: float = PATIENCE_S) -> None:
        """Uses this connection. `patience_s`: how long an answer is waited for where a question says nothing else."""
        self._client = client
        self._patience_s = patience_s
        self._decoders: dict[str, msgspec.msgpack.Decoder[object]] = {}

    async def ask(self, contract: Rpc[Request, Reply], request: Request, timeout: float | None = None) -> Reply:
        """The owner's reply. `timeout` in seconds; None: as long as this client is patient.

        Raises Unavailable when nobody answers in time, or the error that the owner answered with.
        """
        decoder = self._decoders.get(contract.subject)
        if decoder is None:
            decoder = msgspec.msgpack.Decoder(contract.reply | RpcError)
            self._decoders[contract.subject] = decoder
        began = time.monotonic()
        wait_s = self._patience_s if timeout is None else timeout
        try:
            answer = await self._client.request(contract.subject, _encode(request), timeout=wait_s)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            ASKED.labels(contract.subject, "unavailable").inc()
            raise Unavailable(f"The {contract.service} service does not answer.") from error
        ASKED_SECONDS.labels(contract.subject).observe(time.monotonic() - began)
        reply = decoder.decode(answer.data)
        ASKED.labels(contract.subject, _outcome(reply.code) if isinstance(reply, RpcError) else "ok").inc()
        if isinstance(reply, RpcError):
            raise _as_error(reply)
        if not isinstance(reply, contract.reply):
            raise TypeError(f"unexpected reply to {contract.subject}")
        return reply


class Responder(Generic[Request, Reply]):
    """Answers one question: decodes, calls, turns errors into replies."""

    def __init__(
        self,
        contract: Rpc[Request, Reply],
        answer: Callable[[Request], Awaitable[Reply]],
        is_surroundings_error: Callable[[Exception], bool],
    ) -> None:
        """`is_surroundings_error` tells what means "away for the moment" (Postgres, above all)."""
        self._contract = contract
        self._answer = answer
        self._is_surroundings_error = is_surroundings_error
        self._decoder = msgspec.msgpack.Decoder(contract.request)

    def subscribe(self, broker: NatsBroker) -> None:
        """Declares the subscriber in the service's queue group; it starts with the broker."""
        broker.subscriber(
            self._contract.subject,
            queue=self._contract.service,
            max_workers=MAX_WAITING_REQUESTS,
            decoder=undecoded,
            title=self._contract.subject,
            description=(self._contract.request.__doc__ or "").strip(),
        )(self._handle)

    async def _handle(self, message: NatsMessage) -> bytes:
        began = time.monotonic()
        body, outcome = await self._reply(message)
        ANSWERED.labels(self._contract.subject, outcome).inc()
        ANSWERED_SECONDS.labels(self._contract.subject).observe(time.monotonic() - began)
        return body

    async def _reply(self, message: NatsMessage) -> tuple[bytes, str]:
        """The encoded reply and the metrics' word for it."""
        try:
            return _encode(await self._answer(self._decoder.decode(message.body))), "ok"
        except SmsFleetError as error:
            return _refusal(error.code, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _refusal(Invalid.code, f"The request cannot be decoded: {error}")
        except Exception as error:
            if self._is_surroundings_error(error):
                log.warning("surroundings away", rpc=self._contract.subject, error=repr(error)[:300])
                return _refusal(Unavailable.code, "The database does not answer.")
            log.exception("rpc failed", rpc=self._contract.subject)
            return _refusal(SmsFleetError.code, "Something went wrong inside; the log says more.")


def _refusal(code: str, message: str) -> tuple[bytes, str]:
    return _encode(RpcError(code, message)), _outcome(code)


def _outcome(code: str) -> str:
    """The metrics' word for an error: unavailable, failed, or refused for the question's own sake."""
    return {Unavailable.code: "unavailable", SmsFleetError.code: "failed"}.get(code, "refused")


def _as_error(reply: RpcError) -> SmsFleetError:
    for kind in (NotFound, Forbidden, StaleSession, Unavailable):
        if reply.code == kind.code:
            return kind(reply.message)
    if reply.code == SmsFleetError.code:
        return SmsFleetError(reply.message)
    if reply.code.startswith(("invalid", "missing")):
        return Invalid(reply.message, code=reply.code)
    return Conflict(reply.message, code=reply.code)
