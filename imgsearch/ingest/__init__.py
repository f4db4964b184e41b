"""From photos to a catalog: sources, manifests, preparation, encoding, shards, verification."""
