"""Team file: reads a file into a `Team`, and reports all of its mistakes at once."""
