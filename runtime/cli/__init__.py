"""Command line: the program `subactors`."""
