"""Python: the `python` toolset, functions of the team's author as tools."""
