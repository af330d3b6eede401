"""The Locust file of the laboratory.

``JWT_SECRET=… locust -f loadtests/locustfile.py --scenario scenarios/smoke.toml -H http://…``
works as any Locust file does: with the web page or ``--headless``, with ``-u -r -t``,
``--csv``, ``--html``. The scenario gives the defaults.
"""

from __future__ import annotations

import os

# NumPy's linear algebra, which nothing here uses, starts a thread for each core when it is
# loaded; a process that --processes will fork must have none.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from locust import events

from loadtests.behaviours.registry import BEHAVIOURS
from loadtests.conducting.conductor import Conductor

# Locust takes its users from the names of this file.
globals().update({user_class.__name__: user_class for user_class in BEHAVIOURS.values()})
Conductor(BEHAVIOURS).listen(events)
