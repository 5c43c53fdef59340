"""The encoding of a terminal, by the locale that its user has named."""

from __future__ import annotations

import pytest
from subactors.runtime.terminal.locale_names import encoding_of


@pytest.mark.parametrize(
    ("environ", "encoding"),
    [
        ({"LC_ALL": "C"}, "ascii"),
        ({"LANG": "POSIX"}, "ascii"),
        ({"LC_ALL": "", "LC_CTYPE": "C", "LANG": "de_DE.UTF-8"}, "ascii"),
        ({"LANG": "C.UTF-8"}, "utf-8"),
        ({"LC_CTYPE": "de_DE.ISO8859-15@euro", "LANG": "C"}, "iso8859-15"),
        ({"LANG": "ru_RU.KOI8-R"}, "koi8-r"),
        ({"LANG": "de_DE"}, None),
        ({"LANG": "de_DE.nothing"}, None),
        ({}, None),
        ({"LC_ALL": "C", "PYTHONIOENCODING": "utf-8"}, None),
        ({"LC_ALL": "C", "PYTHONUTF8": "1"}, None),
    ],
    ids=repr,
)
def test_the_locale_that_a_user_has_named_says_the_encoding(environ: dict[str, str], encoding: str | None) -> None:
    assert encoding_of(environ) == encoding
