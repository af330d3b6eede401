"""The programs of the peers, each started as a process of its own."""
