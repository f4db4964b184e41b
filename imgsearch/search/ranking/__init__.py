"""The order of results: composition of terms, re-ranking, diversity, duplicates, rules, confidence."""
