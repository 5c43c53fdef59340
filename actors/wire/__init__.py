"""Wire: messages between host, zygote and child, their frames, and what crosses as more than plain data."""
