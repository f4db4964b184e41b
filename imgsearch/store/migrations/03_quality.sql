-- Evaluation runs and their measures.
CREATE TABLE evaluation_runs (
    run_id VARCHAR NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    name VARCHAR NOT NULL,
    system VARCHAR NOT NULL,
    judgments VARCHAR NOT NULL,
    judgments_digest VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    items INTEGER NOT NULL,
    unknown_items INTEGER NOT NULL,
    seconds DOUBLE NOT NULL,
    warnings VARCHAR NOT NULL
);
CREATE TABLE evaluation_measures (
    run_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    measure VARCHAR NOT NULL,
    mean DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    queries INTEGER NOT NULL
);
CREATE TABLE evaluation_queries (
    run_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    query_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    query VARCHAR NOT NULL,
    skipped VARCHAR NOT NULL
);
CREATE TABLE evaluation_values (
    run_id VARCHAR NOT NULL,
    query INTEGER NOT NULL,
    measure INTEGER NOT NULL,
    value DOUBLE NOT NULL
);
CREATE TABLE evaluation_hits (
    run_id VARCHAR NOT NULL,
    query INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    item_id VARCHAR NOT NULL,
    relevance INTEGER
);
CREATE TABLE robustness_runs (
    run_id VARCHAR NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    system VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    report VARCHAR NOT NULL
);
