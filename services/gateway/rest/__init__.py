"""Our own REST API under /v1: JSON in and out, errors as problem+json."""
