"""The wire languages that the gateway speaks to programs, one package each."""
