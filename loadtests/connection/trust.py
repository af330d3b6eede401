"""What a load client trusts with https and wss when nothing else is named."""

from __future__ import annotations

import ssl
from functools import lru_cache


@lru_cache(maxsize=1)
def machine_authorities() -> ssl.SSLContext:
    """Return the context that trusts this machine's authorities; made once, as that takes long."""
    return ssl.create_default_context()
