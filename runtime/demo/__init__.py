"""The demonstration: a bundled team that surveys a folder of source code, without keys or a server."""
