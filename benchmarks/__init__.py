"""Measures what the project claims, each claim as a ratio to something that anyone knows."""
