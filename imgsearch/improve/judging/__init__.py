"""Labelers judge pairs of query and item: sets, pools, assignment, agreement."""
