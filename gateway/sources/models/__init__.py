"""Model providers: each turns a conversation into the pieces of an answer."""
