"""Benchmarks of subactors against the floor and its peers: `python -m benchmarks`, from the root of the repository.

Nothing in here is part of the product or imported by it.
"""
