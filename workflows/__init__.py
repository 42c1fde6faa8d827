"""Deterministic code only: what happens to an order, in which order, and who is asked."""
