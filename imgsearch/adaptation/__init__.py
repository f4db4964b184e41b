"""Feedback becomes a head that is published only when it wins."""
