"""Models: who answers the turns of an agent.

`sendable` is what a server is sent of a conversation. When a model cannot answer: `retries`, `patient` and `rate_pace`
(rate limits; in the host `supervisor/rate_keeper`), `fallback`.
"""
