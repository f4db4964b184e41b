-- Metadata columns of more kinds: prices, dates, times, lists; a column may have a role, such as the items' title.
ALTER TABLE metadata_columns ADD COLUMN role VARCHAR DEFAULT '';
CREATE TABLE metadata_misfits (key UBIGINT NOT NULL, position INTEGER NOT NULL, value VARCHAR NOT NULL);
