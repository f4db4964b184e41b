-- The rows of a few hits are found without a scan.
CREATE INDEX metadata_by_key ON metadata (key);
