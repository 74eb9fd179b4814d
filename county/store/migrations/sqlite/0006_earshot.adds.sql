-- How many residents an output had in earshot when it aired: every figure that a
-- receipt has brought.
CREATE TABLE earshot (
    id        INTEGER PRIMARY KEY,
    output    INTEGER NOT NULL REFERENCES output (id),
    residents INTEGER NOT NULL,
    UNIQUE (output, residents)
) STRICT;

-- As presence, but bit n of block b is earshot b*4096+n: with which figures an
-- output was targeted, and with which one completed.
CREATE TABLE earshot_presence (
    day      INTEGER NOT NULL,
    billing  INTEGER NOT NULL,
    block    INTEGER NOT NULL,
    targeted BLOB    NOT NULL,
    reached  BLOB    NOT NULL,
    PRIMARY KEY (day, billing, block)
) STRICT, WITHOUT ROWID;

-- The same, whatever the clip.
CREATE TABLE earshot_presence_day (
    day      INTEGER NOT NULL,
    block    INTEGER NOT NULL,
    targeted BLOB    NOT NULL,
    reached  BLOB    NOT NULL,
    PRIMARY KEY (day, block)
) STRICT, WITHOUT ROWID;

-- All receipts up to here are in earshot_presence. Less than the mark if the
-- program one version back took receipts in: the next start adds its airings.
ALTER TABLE epoch ADD COLUMN earshot_mark INTEGER NOT NULL DEFAULT 0;

-- Residents of the output when the airing was found to have no receipt; NULL if
-- an earlier program found it.
ALTER TABLE silence ADD COLUMN residents INTEGER;
