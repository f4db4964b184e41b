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

# Pools, judging sessions and who was given which pair (imgsearch.judging).
JUDGING = """
    SELECT 1;
"""

# Stored evaluation runs and their measures (imgsearch.reports).
QUALITY = """
    SELECT 1;
"""

# Systems, experiments, arms and assignments (imgsearch.systems, imgsearch.experiments).
EXPERIMENTS = """
    SELECT 1;
"""

# Learned heads and which of them is in force (imgsearch.heads).
ADAPTATION = """
    SELECT 1;
"""

# What the monitor keeps over restarts (imgsearch.monitoring).
MONITORING = """
    SELECT 1;
"""

# Migration n takes the schema from version n to n + 1. Landed migrations are never edited: append.
MIGRATIONS: tuple[str, ...] = (CORE, JUDGING, QUALITY, EXPERIMENTS, ADAPTATION, MONITORING)
