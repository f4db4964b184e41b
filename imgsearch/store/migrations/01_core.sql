-- Items with their metadata, embeddings and feedback.
CREATE TABLE settings (name VARCHAR NOT NULL, value VARCHAR NOT NULL);
CREATE TABLE items (
    key UBIGINT NOT NULL,
    item_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    location VARCHAR NOT NULL,
    size_bytes BIGINT NOT NULL,
    modified_ns BIGINT NOT NULL,
    digest VARCHAR NOT NULL,
    row_digest VARCHAR NOT NULL,
    width_px INTEGER NOT NULL,
    height_px INTEGER NOT NULL,
    added_at TIMESTAMP NOT NULL
);
CREATE INDEX items_by_id ON items (item_id);
CREATE INDEX items_by_key ON items (key);
CREATE TABLE metadata (key UBIGINT NOT NULL);
CREATE TABLE metadata_columns (name VARCHAR NOT NULL, kind VARCHAR NOT NULL, position INTEGER NOT NULL);
CREATE TABLE vector_batches (first_key UBIGINT NOT NULL, rows UBIGINT NOT NULL, crc32 UINTEGER NOT NULL);
CREATE TABLE impressions (
    search_id VARCHAR NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    visitor VARCHAR NOT NULL,
    query_key VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    generation INTEGER NOT NULL,
    arm VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL,
    rank INTEGER NOT NULL,
    score FLOAT NOT NULL,
    total_ms FLOAT NOT NULL
);
CREATE TABLE clicks (
    search_id VARCHAR NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    visitor VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL,
    rank INTEGER NOT NULL,
    action VARCHAR NOT NULL
);
CREATE TABLE judgments (
    happened_at TIMESTAMP NOT NULL,
    query_key VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL,
    labeler VARCHAR NOT NULL,
    search_id VARCHAR
);
