"""Measure and improve the search: judging, quality, experiments, adaptation, monitoring."""
