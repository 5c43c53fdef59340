"""The Ray driver with less patience: for an agent to be there, and until a node that was lost has another one."""

from __future__ import annotations

from subactors.runtime.nodes import ray_driver

if __name__ == "__main__":
    ray_driver._PATIENCE = 10.0  # type: ignore[misc]
    ray_driver._AGAIN = 0.1  # type: ignore[misc]
    ray_driver._AGAIN_AT_MOST = 1.0  # type: ignore[misc]
    ray_driver.main()
