"""Supervisor: the truth about tasks, held by one thread of the host."""
