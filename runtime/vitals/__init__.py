"""Vitals: what tasks use of the machine, looked at by a thread of its own.

`sampler` is asked, `looker` is its thread, `trees` and `shared_memory` are one look. What the kernel holds itself is in
`actors/linux`.
"""
