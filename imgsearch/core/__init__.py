"""Types and tools that every other package uses: errors, settings, records, the query, files, threads."""
