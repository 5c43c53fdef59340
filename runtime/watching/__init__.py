"""Watching: one model of all runs of the user on this machine, live and past, for the dashboard and `top`."""
