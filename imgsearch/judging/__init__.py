"""People judge results: what is judged, who is given what, whether they agree."""
