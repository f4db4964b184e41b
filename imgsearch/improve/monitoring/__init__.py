"""Telemetry, usage overview, drift, and retention of events."""
