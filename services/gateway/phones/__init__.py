"""Phones that are connected to this gateway."""
