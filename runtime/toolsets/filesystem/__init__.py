"""Filesystem: files inside allowed folders, read, written and searched."""
