-- Every item has the number of its latest change; the log of changes also holds what restores a removed item.
ALTER TABLE items ADD COLUMN revision BIGINT DEFAULT 0;
ALTER TABLE items ADD COLUMN updated_at TIMESTAMP;
UPDATE items SET updated_at = added_at;
CREATE TABLE item_changes (
    change_id BIGINT NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    actor VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    item_id VARCHAR NOT NULL,
    before VARCHAR,
    after VARCHAR,
    photo VARCHAR,
    undoes BIGINT
);
