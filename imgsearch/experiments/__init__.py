"""Experiments on visitors: who is answered by what, and what came of it."""
