"""Pages of an account: keys, people, the audit log, settings."""
