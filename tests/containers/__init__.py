"""The system as docker-compose.yml runs it, and the same suite against containers; `make test-containers`."""
