"""Secrets: making them, hashing them, deriving keys."""
