-- Imports: what was to be imported, what happened to each, what could not be imported, and what feeds were like before.
CREATE TABLE imports (
    import_id BIGINT PRIMARY KEY,
    created_at TIMESTAMP NOT NULL,
    actor VARCHAR NOT NULL,
    spec VARCHAR NOT NULL
);
CREATE TABLE import_events (
    event_id BIGINT PRIMARY KEY,
    import_id BIGINT NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    status VARCHAR NOT NULL,
    details VARCHAR NOT NULL
);
CREATE TABLE import_failures (
    import_id BIGINT NOT NULL,
    position INTEGER NOT NULL,
    place VARCHAR NOT NULL,
    reason VARCHAR NOT NULL
);
CREATE TABLE feed_states (
    happened_at TIMESTAMP NOT NULL,
    source VARCHAR NOT NULL,
    state VARCHAR NOT NULL
);
