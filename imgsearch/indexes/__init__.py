"""Vector indexes: the protocol and its engines, one file each."""
