-- What a controller remembers. Instants are Unix microseconds in UTC; NULL is
-- "never" or "not yet".

-- An epoch is one unbroken run of receipt numbers. A store that was made anew
-- or restored from a backup begins another, so that a number once sent to the
-- county never comes to mean something else.
CREATE TABLE epoch (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE, -- random
    made INTEGER NOT NULL
) STRICT;

CREATE TABLE store (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    epoch     INTEGER NOT NULL REFERENCES epoch (id),
    seq       INTEGER NOT NULL DEFAULT 0, -- the last receipt made in this epoch
    watermark INTEGER, -- all that fell due up to here is accounted for
    floor     INTEGER, -- it was at least this late already, by a trusted clock
    checked   INTEGER  -- when every page was last found in order
) STRICT;

CREATE TABLE clip (
    id       TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of the file, lower-case hex
    title    TEXT    NOT NULL,
    series   TEXT    NOT NULL DEFAULT '',
    issue    INTEGER NOT NULL DEFAULT 0,
    language TEXT    NOT NULL DEFAULT '',
    text     TEXT    NOT NULL DEFAULT '',
    tags     TEXT    NOT NULL DEFAULT '[]', -- JSON list
    frames   INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    present  INTEGER NOT NULL, -- 0: the file was given up for its room, the rest is kept
    added    INTEGER NOT NULL,
    figures  TEXT              -- JSON: what ingest measured and changed
) STRICT;

CREATE INDEX clip_series ON clip (series, issue, title);

-- Files that became clips, so that handing one in again costs nothing.
CREATE TABLE source (
    path   TEXT    NOT NULL PRIMARY KEY,
    size   INTEGER NOT NULL,
    mtime  INTEGER NOT NULL, -- nanoseconds
    sha256 TEXT    NOT NULL,
    recipe TEXT    NOT NULL, -- the ingest settings it was made with
    clip   TEXT    NOT NULL REFERENCES clip (id)
) STRICT;

CREATE INDEX source_sha256 ON source (sha256, recipe);

-- A clip as it was called when it aired: a later change of title must not
-- change the log.
CREATE TABLE billing (
    id     INTEGER PRIMARY KEY,
    clip   TEXT    NOT NULL,
    title  TEXT    NOT NULL,
    series TEXT    NOT NULL,
    issue  INTEGER NOT NULL,
    last   INTEGER, -- due instant of its latest airing
    UNIQUE (clip, title, series, issue)
) STRICT;

-- Where each playlist stands.
CREATE TABLE cursor (
    playlist TEXT    NOT NULL PRIMARY KEY,
    round    INTEGER NOT NULL,
    place    INTEGER NOT NULL,
    last     TEXT    NOT NULL
) STRICT;

-- The as-run log. A row is open while its outcome is empty; once closed it is
-- never edited.
CREATE TABLE asrun (
    id         INTEGER PRIMARY KEY,
    airing     TEXT    NOT NULL,
    output     TEXT    NOT NULL,
    item       INTEGER NOT NULL, -- from 1, within the airing
    part       INTEGER NOT NULL, -- 0: it did not sound
    slot       TEXT    NOT NULL,
    playlist   TEXT    NOT NULL,
    billing    INTEGER REFERENCES billing (id), -- NULL: no clip had been chosen
    rank       INTEGER NOT NULL,
    due        INTEGER NOT NULL,
    cued       INTEGER,
    started    INTEGER, -- the first frame left the card
    ended      INTEGER,
    from_frame INTEGER NOT NULL,
    frames     INTEGER NOT NULL,
    of_frames  INTEGER NOT NULL,
    at_frame   INTEGER NOT NULL,
    level_db   REAL    NOT NULL,
    residents  INTEGER NOT NULL,
    area       TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    clock      TEXT    NOT NULL,
    boot       TEXT    NOT NULL,
    mono_ms    INTEGER NOT NULL,
    seq        INTEGER NOT NULL, -- its receipt; 0 while open
    noted      INTEGER, -- when the frames were last noted
    cursor_before TEXT, -- JSON: the cursor before and after this claim moved it;
    cursor_after  TEXT, -- NULL once the clip is known to have sounded or was given back
    UNIQUE (airing, output, item, part)
) STRICT;

CREATE INDEX asrun_due ON asrun (due);
CREATE INDEX asrun_open ON asrun (id) WHERE outcome = '';

-- The outbox. Written in the transaction that closes the row: a power cut
-- loses both or neither.
CREATE TABLE receipt (
    epoch INTEGER NOT NULL REFERENCES epoch (id),
    seq   INTEGER NOT NULL,
    asrun INTEGER NOT NULL REFERENCES asrun (id) ON DELETE CASCADE,
    made  INTEGER NOT NULL,
    sent  INTEGER, -- when the county said it has it
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX receipt_asrun ON receipt (asrun);
CREATE INDEX receipt_unsent ON receipt (epoch, seq) WHERE sent IS NULL;

-- The device log.
CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    boot    TEXT    NOT NULL,
    mono_ms INTEGER NOT NULL, -- since that boot
    level   INTEGER NOT NULL, -- as log/slog counts
    message TEXT    NOT NULL,
    attrs   TEXT    NOT NULL -- JSON object
) STRICT;

-- Small facts by name.
CREATE TABLE state (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Each time something recorded was lost.
CREATE TABLE loss (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    why    TEXT    NOT NULL,
    aside  TEXT    NOT NULL, -- where the damaged file lies; empty: there was none
    backup TEXT    NOT NULL, -- what was restored; empty: nothing, the store began anew
    newest INTEGER -- due instant of the newest row that is still there
) STRICT;
