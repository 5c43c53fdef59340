"""Bench: measures what a fan-out of many tasks takes here, and what the same work takes by other ways."""
