"""How the weights of the `lite` encoder are made: one module a stage, put together by `scripts/train_lite.py`."""
