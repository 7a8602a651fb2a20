"""Tests of SMSFleet."""
