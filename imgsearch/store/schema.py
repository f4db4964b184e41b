"""The tables of a catalog's database, as numbered migrations.

It owns the SQL that makes them; the modules that read and write the rows know what they mean.
"""

from __future__ import annotations

__all__ = ["MIGRATIONS"]

CORE = """
    CREATE TABLE settings (name VARCHAR NOT NULL, value VARCHAR NOT NULL);
    CREATE TABLE items (
        key UBIGINT NOT NULL,
        item_id VARCHAR NOT NULL,
        source VARCHAR NOT NULL,
        location VARCHAR NOT NULL,
        size_bytes BIGINT NOT NULL,
        modified_ns BIGINT NOT NULL,
        digest VARCHAR NOT NULL,
        row_digest VARCHAR NOT NULL,
        width_px INTEGER NOT NULL,
        height_px INTEGER NOT NULL,
        added_at TIMESTAMP NOT NULL
    );
    CREATE INDEX items_by_id ON items (item_id);
    CREATE INDEX items_by_key ON items (key);
    CREATE TABLE metadata (key UBIGINT NOT NULL);
    CREATE TABLE metadata_columns (name VARCHAR NOT NULL, kind VARCHAR NOT NULL, position INTEGER NOT NULL);
    CREATE TABLE vector_batches (first_key UBIGINT NOT NULL, rows UBIGINT NOT NULL, crc32 UINTEGER NOT NULL);
    CREATE TABLE impressions (
        search_id VARCHAR NOT NULL,
        happened_at TIMESTAMP NOT NULL,
        visitor VARCHAR NOT NULL,
        query_key VARCHAR NOT NULL,
        encoder VARCHAR NOT NULL,
        generation INTEGER NOT NULL,
        arm VARCHAR NOT NULL,
        item_id VARCHAR NOT NULL,
        rank INTEGER NOT NULL,
        score FLOAT NOT NULL,
        total_ms FLOAT NOT NULL
    );
    CREATE TABLE clicks (
        search_id VARCHAR NOT NULL,
        happened_at TIMESTAMP NOT NULL,
        visitor VARCHAR NOT NULL,
        item_id VARCHAR NOT NULL,
        rank INTEGER NOT NULL,
        action VARCHAR NOT NULL
    );
    CREATE TABLE judgments (
        happened_at TIMESTAMP NOT NULL,
        query_key VARCHAR NOT NULL,
        item_id VARCHAR NOT NULL,
        verdict VARCHAR NOT NULL,
        labeler VARCHAR NOT NULL,
        search_id VARCHAR
    );
    """

# Judging sets, their pairs, and who judges which pair (imgsearch.improve.judging.store).
JUDGING = """
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
"""

# Stored evaluation runs and their measures (imgsearch.improve.quality.reports).
QUALITY = """
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
"""

# Systems, experiments, arms and assignments (imgsearch.search.systems, imgsearch.improve.experiments.experiments).
EXPERIMENTS = """
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
"""

# Learned heads and which of them is in force (imgsearch.index.heads).
ADAPTATION = """
    CREATE TABLE head_changes (happened_at TIMESTAMP NOT NULL, action VARCHAR NOT NULL, head VARCHAR NOT NULL);
"""

# What the monitor keeps over restarts: counts by minute, later by hour
# (imgsearch.improve.monitoring.telemetry), and the
# searches that found nothing, which leave no impression (imgsearch.store.feedback).
MONITORING = """
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
"""

# Saved sets of items and searches, and when a visitor cleared the recent searches (imgsearch.store.collections).
COLLECTIONS = """
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
"""

# Near-duplicate pairs, how far the photos were looked through, people's verdicts
# (imgsearch.search.ranking.duplicates),
# and every change of a merchandiser's rule with the state that it got as JSON (imgsearch.search.ranking.rules).
MERCHANDISING = """
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
"""

# Perceptual hashes of photos, and which descriptors of the file of looks count (imgsearch.store.look_table).
LOOKS = """
    CREATE TABLE looks (key UBIGINT NOT NULL, phash UBIGINT, crc32 UINTEGER);
    CREATE INDEX looks_by_key ON looks (key);
"""

# The rows of a few hits are found without reading all of them.
METADATA_BY_KEY = "CREATE INDEX metadata_by_key ON metadata (key);"

# Migration n takes the schema from version n to n + 1. Landed migrations are never edited: append.
MIGRATIONS: tuple[str, ...] = (
    CORE,
    JUDGING,
    QUALITY,
    EXPERIMENTS,
    ADAPTATION,
    MONITORING,
    COLLECTIONS,
    MERCHANDISING,
    LOOKS,
    METADATA_BY_KEY,
)
