"""Learned heads: training pairs from feedback, training, evaluation, publication."""
