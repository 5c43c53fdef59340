"""Runs: what outlives a host. The state folder with its journals, output, results and worktrees."""
