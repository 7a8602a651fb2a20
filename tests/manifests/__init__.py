"""Tests of what Kubernetes is given."""
