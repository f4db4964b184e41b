"""The `lite` encoder: a frozen EfficientNet-Lite0 with trained projections, and its text tower."""
