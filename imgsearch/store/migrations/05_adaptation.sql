-- Publications and rollbacks of learned heads.
CREATE TABLE head_changes (happened_at TIMESTAMP NOT NULL, action VARCHAR NOT NULL, head VARCHAR NOT NULL);
