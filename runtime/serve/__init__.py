"""Serve: the runtime as a server for other programs."""
