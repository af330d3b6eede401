"""The paper exchange: orders of users, matched against the books of the market source."""
