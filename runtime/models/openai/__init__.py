"""OpenAI: the client of every server with a chat-completions endpoint."""
