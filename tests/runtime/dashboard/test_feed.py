"""The dashboard's feed in a loop of its own: what it does for streams that end, and between them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from subactors.runtime.dashboard import feed as module
from subactors.runtime.dashboard.feed import Feed

PATIENCE = 20.0


def test_nobody_looks_any_more_who_was_cancelled_before_the_first_look_was_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.0)

    async def looks(feed: Feed) -> None:
        async with feed.looking():
            await asyncio.Event().wait()

    async def cancelled(feed: Feed) -> None:
        looker = asyncio.create_task(looks(feed))
        await asyncio.sleep(0)
        while not feed.watcher.is_wanted():  # the loop does not turn meanwhile, so it is not in the block yet
            time.sleep(0.001)  # noqa: ASYNC251 - see above
        looker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looker
        async with asyncio.timeout(PATIENCE):
            while feed.watcher.is_wanted():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)

    feed = Feed(tmp_path)
    try:
        asyncio.run(cancelled(feed))
    finally:
        feed.close()
