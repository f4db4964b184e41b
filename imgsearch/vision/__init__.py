"""Pictures as arrays: decoding, colours, outlines, regions, and alignment of two pictures."""
