-- What tells whether a photo at a URL has changed since it was read.
CREATE TABLE url_states (
    url VARCHAR NOT NULL,
    etag VARCHAR NOT NULL,
    last_modified VARCHAR NOT NULL,
    size_bytes BIGINT NOT NULL,
    checked_at TIMESTAMP NOT NULL
);
