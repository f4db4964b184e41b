"""A `Query` becomes a `SearchResult`: query encoding, candidates, ranking, words, systems."""
