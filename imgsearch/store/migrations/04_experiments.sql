-- Systems, experiments, arms and assignments.
CREATE TABLE systems (
    name VARCHAR PRIMARY KEY,
    created_at TIMESTAMP NOT NULL,
    head VARCHAR NOT NULL,
    catalog VARCHAR NOT NULL,
    expansion INTEGER,
    diversity DOUBLE NOT NULL,
    n INTEGER
);
CREATE TABLE experiments (
    name VARCHAR PRIMARY KEY,
    created_at TIMESTAMP NOT NULL,
    mode VARCHAR NOT NULL,
    goal VARCHAR NOT NULL,
    min_effect DOUBLE NOT NULL,
    planned_visitors INTEGER NOT NULL
);
CREATE TABLE experiment_arms (
    experiment VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    system VARCHAR NOT NULL,
    share DOUBLE NOT NULL
);
CREATE TABLE experiment_events (
    experiment VARCHAR NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    event VARCHAR NOT NULL
);
CREATE TABLE exposures (
    search_id VARCHAR NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    experiment VARCHAR NOT NULL,
    arm VARCHAR NOT NULL,
    visitor VARCHAR NOT NULL,
    query_key VARCHAR NOT NULL,
    first_rank INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    total_ms FLOAT NOT NULL,
    failed BOOLEAN NOT NULL
);
