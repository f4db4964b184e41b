"""What this process does, what the rows say of a period, and what is forgotten."""
