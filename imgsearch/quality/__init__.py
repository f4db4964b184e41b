"""How good the search is: judgments and topics, measures, comparisons, stored reports, checks without labels."""
