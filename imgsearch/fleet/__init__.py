"""Beyond one machine: embeddings made by many workers, an index on a Milvus, replicas of one writer."""
