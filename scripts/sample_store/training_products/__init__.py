"""Product types that only the train split has: what a fashion catalogue sells and the shop does not. Never sold."""
