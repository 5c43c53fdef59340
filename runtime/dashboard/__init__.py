"""Dashboard: a web page that shows all runs of the user on this machine, and its server, for loopback only."""
