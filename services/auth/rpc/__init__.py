"""Answers the questions of `rpc.auth.*`: verdicts and tokens from memory, changes through the store and the epoch."""
