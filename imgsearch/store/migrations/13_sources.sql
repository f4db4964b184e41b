-- Every ended run over a source: under which name, over which places (JSON), and what it listed.
CREATE TABLE source_runs (
    name VARCHAR NOT NULL,
    places VARCHAR NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    listed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    complete BOOLEAN NOT NULL
);
