-- Counts of the monitor, by minute and later by hour; searches without a hit, which leave no impression.
CREATE TABLE telemetry (
    minute TIMESTAMP NOT NULL,
    series VARCHAR NOT NULL,
    label VARCHAR NOT NULL,
    bucket INTEGER NOT NULL,
    amount BIGINT NOT NULL
);
CREATE TABLE empty_searches (
    search_id VARCHAR NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    visitor VARCHAR NOT NULL,
    query_key VARCHAR NOT NULL,
    total_ms FLOAT NOT NULL
);
