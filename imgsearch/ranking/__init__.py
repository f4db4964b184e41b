"""The order beyond nearness: terms put together, re-ranking, duplicates, rules, and how good a list of hits is."""
