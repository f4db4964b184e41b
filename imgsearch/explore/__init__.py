"""The map of the catalog: places, groups and their names, and the process that lays it out."""
