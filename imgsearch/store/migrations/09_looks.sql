-- Perceptual hashes of photos, and checksums of their descriptors.
CREATE TABLE looks (key UBIGINT NOT NULL, phash UBIGINT, crc32 UINTEGER);
CREATE INDEX looks_by_key ON looks (key);
