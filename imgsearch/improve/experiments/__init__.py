"""Online experiments: assignment of visitors to systems, outcomes, statistics."""
