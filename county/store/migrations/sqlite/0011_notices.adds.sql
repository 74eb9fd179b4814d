-- What a recipient is told. Those whose state is due or held are still to be told.
CREATE TABLE notice (
    id        INTEGER PRIMARY KEY,
    key       TEXT    NOT NULL UNIQUE, -- what it tells, to whom: the same is told once
    recipient TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    level     INTEGER NOT NULL, -- of the alert that it is about; 0: about none
    text      TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    state     TEXT    NOT NULL, -- due, held, gathered, told, failed
    next      INTEGER NOT NULL, -- when it may be sent
    tries     INTEGER NOT NULL DEFAULT 0,
    ended     INTEGER, -- when it was told or given up
    why       TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX notice_state ON notice (state, ended);

-- What is known of the things about which there are notices, so that each is told once.
CREATE TABLE watch (
    kind    TEXT NOT NULL, -- as of notice
    subject TEXT NOT NULL,
    state   TEXT NOT NULL, -- JSON
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
