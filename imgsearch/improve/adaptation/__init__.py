"""Adaptation: a head trained on feedback, its evaluation and its publication."""
