-- Saved sets of items and searches, and when a visitor cleared the recent searches.
CREATE TABLE collection_acts (
    happened_at TIMESTAMP NOT NULL,
    visitor VARCHAR NOT NULL,
    collection_id VARCHAR NOT NULL,
    act VARCHAR NOT NULL,
    name VARCHAR NOT NULL
);
CREATE TABLE collection_entries (
    happened_at TIMESTAMP NOT NULL,
    visitor VARCHAR NOT NULL,
    collection_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    is_in BOOLEAN NOT NULL
);
CREATE TABLE recents_cleared (happened_at TIMESTAMP NOT NULL, visitor VARCHAR NOT NULL);
