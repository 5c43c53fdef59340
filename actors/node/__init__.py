"""A node's agent: on another machine than the host, it has processes forked for it. See `host/node_link`."""
