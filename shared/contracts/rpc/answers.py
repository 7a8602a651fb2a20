"""Answers that every service gives: done, and refused."""

import msgspec


class RpcError(msgspec.Struct, frozen=True, tag="error"):
    """The answer when the owner refuses: `code` and text of an error of shared/errors.py."""

    code: str
    message: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It is done and there is nothing more to say."""
