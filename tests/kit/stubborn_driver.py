"""A Ray driver that does as its place's address says: `deaf` reads nothing more, `mute` says nothing more."""

from __future__ import annotations

import os
import sys
import time

from subactors.runtime.nodes.ray_messages import Beat, Connect, decode_to_driver, line


def main() -> None:
    first = decode_to_driver(sys.stdin.buffer.readline())
    assert isinstance(first, Connect)
    os.write(1, line(Beat()))
    if first.address == "mute":
        sys.stdin.buffer.read()
    while True:
        time.sleep(0.1)
        if first.address == "deaf":
            os.write(1, line(Beat()))


if __name__ == "__main__":
    main()
