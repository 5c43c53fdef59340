"""Linux: what this layer asks of the kernel. Decides nothing."""
