"""Reading what merchants have: photos from folders, archives and the network, tables of rows, imported embeddings."""
