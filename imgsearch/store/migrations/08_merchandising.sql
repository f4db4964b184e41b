-- Near-duplicate pairs, scans for them, verdicts on them; every change of a rule, with its state as JSON.
CREATE TABLE duplicate_pairs (
    first_key UBIGINT NOT NULL,
    second_key UBIGINT NOT NULL,
    cosine FLOAT NOT NULL,
    residual FLOAT
);
CREATE TABLE duplicate_passes (happened_at TIMESTAMP NOT NULL, upto UBIGINT NOT NULL, threshold FLOAT NOT NULL);
CREATE TABLE duplicate_verdicts (
    happened_at TIMESTAMP NOT NULL,
    author VARCHAR NOT NULL,
    first_item VARCHAR NOT NULL,
    second_item VARCHAR NOT NULL,
    verdict VARCHAR NOT NULL
);
CREATE TABLE rule_changes (
    change_id BIGINT PRIMARY KEY,
    rule_id INTEGER NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    author VARCHAR NOT NULL,
    act VARCHAR NOT NULL,
    state VARCHAR NOT NULL
);
