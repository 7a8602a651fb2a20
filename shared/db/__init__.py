"""Postgres as this system uses it: one pool setup, what its errors mean, migrations."""
