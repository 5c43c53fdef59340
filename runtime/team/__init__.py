"""Team: what is configured, as frozen values, and what this machine has of it."""
