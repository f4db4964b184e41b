"""Images as arrays: decoding, colours, outlines, patterns, foreground, and alignment of two images."""
