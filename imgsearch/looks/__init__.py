"""The look of a photo: its colours, outline, pattern and parts, kept beside the catalog's embeddings."""
