"""Toolsets: what an agent may do."""
