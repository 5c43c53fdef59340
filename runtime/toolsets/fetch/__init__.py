"""Fetch: pages of the web, as text."""
