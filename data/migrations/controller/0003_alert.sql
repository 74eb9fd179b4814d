-- Emergency messages, as received and as they stand. A controller decides by
-- what is in here alone whether one sounds, sounds again or must not.
CREATE TABLE alert (
    id       TEXT    NOT NULL PRIMARY KEY,
    record   TEXT    NOT NULL, -- JSON: playlist.AlertRecord
    raw      BLOB,             -- the message as it came, where it came whole
    received INTEGER NOT NULL,
    state    TEXT    NOT NULL
) STRICT;

CREATE INDEX alert_received ON alert (received);

-- What a cancel or an update has named, come or not.
CREATE TABLE retired (
    id     TEXT    NOT NULL PRIMARY KEY,
    retired_by TEXT NOT NULL,
    reason TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

-- A row of an alert names it, and says what it was sounded with.
ALTER TABLE asrun ADD COLUMN alert TEXT NOT NULL DEFAULT '';
ALTER TABLE asrun ADD COLUMN used TEXT NOT NULL DEFAULT '';
CREATE INDEX asrun_alert ON asrun (alert) WHERE alert != '';
