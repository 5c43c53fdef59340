"""Theme: the terminal's own colours, so that the screen is dark where the terminal is, and light where that is."""

from __future__ import annotations

import dataclasses
from typing import Final

from textual.theme import BUILTIN_THEMES, Theme

__all__ = ["THEME"]

THEME: Final[Theme] = dataclasses.replace(
    BUILTIN_THEMES["ansi-dark"],
    name="subactors",
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "border-blurred": "ansi_default",
        "block-cursor-foreground": "ansi_bright_white",
        "block-cursor-background": "ansi_blue",
        "block-cursor-text-style": "bold underline",
    },
)
"""Where two colours are needed, white on blue: it is seen on either."""
