-- What the county has signed for this controller, as it came: one document a
-- kind and scope, trust without a scope.
CREATE TABLE document (
    kind    TEXT    NOT NULL,
    scope   TEXT    NOT NULL,
    version INTEGER NOT NULL,
    digest  TEXT    NOT NULL,
    raw     BLOB    NOT NULL,
    kept    INTEGER NOT NULL,
    PRIMARY KEY (kind, scope)
) STRICT, WITHOUT ROWID;

-- A receipt may put an earlier one right, whose row was written before the
-- time was known. The earlier one stays as it was sent.
ALTER TABLE receipt ADD COLUMN corrects_epoch INTEGER REFERENCES epoch (id);
ALTER TABLE receipt ADD COLUMN corrects_seq INTEGER;
