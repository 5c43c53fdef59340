"""MCP: the tools of one MCP server, over a connection of one task."""
