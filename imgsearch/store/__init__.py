"""What a catalog keeps on disk: the database, embeddings, looks, thumbnails, uploads, feedback."""
