"""Host: the side that starts actors' processes, talks to them, and sees them end."""
