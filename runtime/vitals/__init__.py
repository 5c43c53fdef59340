"""Vitals: what tasks use of the machine, looked at by a thread of its own."""
