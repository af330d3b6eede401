"""Compare two gateways: run blocks in ABBA order and judge them; see ``pair_runs``."""
