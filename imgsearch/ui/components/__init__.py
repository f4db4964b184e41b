"""The parts that pages are made of: gallery, query bar, map, panels, dialogs."""
