"""What a run intends, and how its work is divided. Pure: no socket, no clock, no greenlet."""
