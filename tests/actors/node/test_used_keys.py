"""Keys of connections, of which each may come once."""

from __future__ import annotations

from subactors.actors.node import used_keys
from subactors.actors.node.used_keys import UsedKeys


def test_a_key_may_come_once() -> None:
    used = UsedKeys()

    assert [used.use(7), used.use(8), used.use(7)] == [True, True, False]


def test_of_many_keys_the_oldest_are_not_remembered_and_may_not_come_either() -> None:
    used = UsedKeys()
    assert all(used.use(key) for key in range(1, used_keys._MOST + 2))

    assert len(used._used) <= used_keys._MOST // 2 + 2
    assert not used.use(1)
    assert not used.use(used_keys._MOST)
    assert used.use(used_keys._MOST + 2)
