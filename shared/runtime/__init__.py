"""How every service runs: settings, logging, clock, owned tasks, health, orderly start and stop."""
