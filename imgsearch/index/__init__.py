"""Vector indexes: the protocol, its engines (one file each), and the live index of a catalog."""
