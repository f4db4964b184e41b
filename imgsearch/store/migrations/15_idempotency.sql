-- Answers of requests with an Idempotency-Key, so that a repeated request is answered and not done again.
CREATE TABLE idempotent_answers (
    key_hash UBIGINT NOT NULL,
    key VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL,
    answered_at TIMESTAMP NOT NULL,
    status INTEGER NOT NULL,
    headers VARCHAR NOT NULL,
    body VARCHAR NOT NULL
);
