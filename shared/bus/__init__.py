"""NATS as this system uses it: one connection setup, one publisher, one batch consumer, one rpc kit."""
