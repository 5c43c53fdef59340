"""Team file: reads a file into a `Team`, and reports all of its mistakes at once.

`keys` has what a file may say, `yaml` and `nodes` how much it may hold.
"""
