"""OpenAI: the client of every server with a chat-completions endpoint.

`client` sends a request, and says whether an answer counts. `event_stream` makes events of bytes, `stream` a turn of
events. `server_faults` tells the kinds of failure, `errors` puts them into words.
"""
