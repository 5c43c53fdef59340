"""Verbs: what a program asks of the runtime, blocking and awaited, from the host and from inside a task."""
