-- Judging sets, their pairs, and who judges which pair.
CREATE TABLE judging_sets (
    set_id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL UNIQUE,
    created_at TIMESTAMP NOT NULL,
    source VARCHAR NOT NULL,
    systems VARCHAR NOT NULL,
    depth INTEGER NOT NULL,
    raters INTEGER NOT NULL CHECK (raters > 0),
    seed BIGINT NOT NULL,
    queries INTEGER NOT NULL,
    pairs INTEGER NOT NULL
);
CREATE TABLE judging_pairs (
    pair_id BIGINT PRIMARY KEY,
    set_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    query_key VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL
);
CREATE TABLE judging_acts (
    event_id VARCHAR PRIMARY KEY,
    happened_at TIMESTAMP NOT NULL,
    set_id INTEGER NOT NULL,
    pair_id BIGINT NOT NULL,
    labeler VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    act VARCHAR NOT NULL,
    counted BOOLEAN NOT NULL,
    change TINYINT NOT NULL,
    took_ms INTEGER NOT NULL
);
CREATE TABLE judging_leases (
    set_id INTEGER NOT NULL,
    pair_id BIGINT NOT NULL,
    labeler VARCHAR NOT NULL,
    client VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    place BIGINT NOT NULL,
    query_key VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE TABLE judging_guidelines (
    set_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    author VARCHAR NOT NULL,
    text VARCHAR NOT NULL
);
