"""Text search beside the embedding of photos: titles, suggested filters, spelling."""
