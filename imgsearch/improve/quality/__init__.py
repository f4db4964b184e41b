"""Offline evaluation: qrels, measures, comparisons, stored reports, robustness checks."""
