"""Top: the screen of a terminal that shows all runs, and lets a person step in. It needs Textual, the extra `top`."""
