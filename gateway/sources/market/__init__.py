"""The market's records and the decisions of a market source, without I/O."""
