"""Web server: how those of ours are set up. The first import costs: they are imported when one is wanted."""

from __future__ import annotations

import logging
from typing import Any

import uvicorn
from starlette.types import ASGIApp

__all__ = ["config_of"]


def config_of(app: ASGIApp, **settings: Any) -> uvicorn.Config:
    """Return how a server for an application is set up.

    It believes no header about where a request comes from, and tells nobody what it is made of. Of what strangers can
    have it say as often as they like, such as that a request makes no sense, it says nothing: it tells of faults alone.

    Args:
        app: the application.
        settings: what else is set; see `uvicorn.Config`.
    """
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return uvicorn.Config(
        app, log_config=None, access_log=False, ws="none", proxy_headers=False, server_header=False, **settings
    )
