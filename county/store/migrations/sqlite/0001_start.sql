-- What a county remembers. Instants are Unix microseconds in UTC; NULL is
-- "never" or "not yet". Days are counted from 1 January 1970 in the county's
-- zone. The PostgreSQL schema is the same, table by table.

CREATE TABLE setting (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Who may log in, and the sessions they opened.
CREATE TABLE admin (
    name    TEXT    NOT NULL PRIMARY KEY,
    hash    TEXT    NOT NULL, -- argon2id, with its salt and cost
    changed INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
    hash    TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of the token
    admin   TEXT    NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE controller (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    area        TEXT    NOT NULL,
    groups      TEXT    NOT NULL DEFAULT '[]', -- JSON list
    public_key  TEXT    NOT NULL DEFAULT '',
    fingerprint TEXT    NOT NULL DEFAULT '',
    broker_user TEXT    NOT NULL DEFAULT '', -- its login's name at the broker
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'disabled', 'retired')),
    made        INTEGER NOT NULL,
    changed     INTEGER NOT NULL,
    seen        INTEGER, -- last sync
    version     TEXT    NOT NULL DEFAULT '', -- of its program
    have        TEXT    NOT NULL DEFAULT '{}', -- JSON: kind and scope -> version, as it last said
    health      TEXT    NOT NULL DEFAULT '{}', -- JSON, as it last said
    unsent      INTEGER NOT NULL DEFAULT 0, -- receipts it still holds
    clock       TEXT    NOT NULL DEFAULT '',
    fault       INTEGER NOT NULL DEFAULT 0 -- 1: its health names something a person must mend
) STRICT;

CREATE INDEX controller_area ON controller (area);
CREATE INDEX controller_key ON controller (public_key);

-- Loudspeaker zones, as the controllers name them.
CREATE TABLE output (
    id         INTEGER PRIMARY KEY,
    controller TEXT    NOT NULL REFERENCES controller (id),
    name       TEXT    NOT NULL,
    area       TEXT    NOT NULL,
    residents  INTEGER NOT NULL,
    gone       INTEGER NOT NULL DEFAULT 0, -- 1: its controller no longer lists it
    UNIQUE (controller, name)
) STRICT;

-- One-time enrolment codes. The code itself is told to a person and kept
-- nowhere.
CREATE TABLE code (
    id         TEXT    NOT NULL PRIMARY KEY, -- derived from the code
    secret     BLOB    NOT NULL, -- derived from it too: what both ends prove to know
    controller TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    area       TEXT    NOT NULL,
    groups     TEXT    NOT NULL DEFAULT '[]', -- JSON list
    approve    INTEGER NOT NULL DEFAULT 0, -- 1: the code alone is approval enough
    made       INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    public_key TEXT    NOT NULL DEFAULT '', -- the first to come with it has it
    used       INTEGER
) STRICT;

-- Signed envelopes, all versions of all scopes.
CREATE TABLE envelope (
    kind    TEXT    NOT NULL, -- trust, member, alerts, manifest
    scope   TEXT    NOT NULL,
    version INTEGER NOT NULL,
    bytes   BLOB    NOT NULL,
    digest  TEXT    NOT NULL, -- tells apart what claims one version
    at      INTEGER NOT NULL, -- when it was published
    note    TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (kind, scope, version)
) STRICT;

-- The clip library. The files lie beside the database.
CREATE TABLE clip (
    id       TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of the file, lower-case hex
    title    TEXT    NOT NULL,
    series   TEXT    NOT NULL DEFAULT '',
    issue    INTEGER NOT NULL DEFAULT 0,
    language TEXT    NOT NULL DEFAULT '',
    text     TEXT    NOT NULL DEFAULT '',
    tags     TEXT    NOT NULL DEFAULT '[]',
    frames   INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    added    INTEGER NOT NULL,
    figures  TEXT -- JSON: what ingest measured and changed
) STRICT;

CREATE INDEX clip_series ON clip (series, issue, title);

CREATE TABLE source (
    path   TEXT    NOT NULL PRIMARY KEY,
    size   INTEGER NOT NULL,
    mtime  INTEGER NOT NULL, -- nanoseconds
    sha256 TEXT    NOT NULL,
    recipe TEXT    NOT NULL,
    clip   TEXT    NOT NULL REFERENCES clip (id)
) STRICT;

CREATE INDEX source_sha256 ON source (sha256, recipe);

-- What rows of the as-run log have in common: the slot and playlist of an
-- airing; of an airing that no slot's due instant names, its ID as well.
CREATE TABLE strand (
    id       INTEGER PRIMARY KEY,
    slot     TEXT NOT NULL,
    playlist TEXT NOT NULL,
    airing   TEXT NOT NULL,
    alert    TEXT NOT NULL, -- whose airing it is; empty: a slot's
    UNIQUE (slot, airing, playlist)
) STRICT;

CREATE INDEX strand_alert ON strand (alert);

-- A clip as it was called when it aired.
CREATE TABLE billing (
    id     INTEGER PRIMARY KEY,
    clip   TEXT    NOT NULL,
    title  TEXT    NOT NULL,
    series TEXT    NOT NULL,
    issue  INTEGER NOT NULL,
    UNIQUE (clip, title, series, issue)
) STRICT;

-- One unbroken run of receipts of one controller.
CREATE TABLE epoch (
    id         INTEGER PRIMARY KEY,
    controller TEXT    NOT NULL REFERENCES controller (id),
    name       TEXT    NOT NULL,
    mark       INTEGER NOT NULL DEFAULT 0, -- all receipts up to here are stored
    lost       INTEGER NOT NULL DEFAULT 0, -- receipts that the controller had no more
    at         INTEGER NOT NULL, -- when the mark last moved
    UNIQUE (controller, name)
) STRICT;

-- Receipts, each once; never edited but for superseded.
CREATE TABLE receipt (
    epoch      INTEGER NOT NULL REFERENCES epoch (id),
    seq        INTEGER NOT NULL,
    stored     INTEGER NOT NULL,
    strand     INTEGER NOT NULL REFERENCES strand (id),
    due        INTEGER NOT NULL,
    output     INTEGER NOT NULL REFERENCES output (id),
    item       INTEGER NOT NULL,
    part       INTEGER NOT NULL,
    billing    INTEGER NOT NULL REFERENCES billing (id),
    rank       INTEGER NOT NULL,
    cued       INTEGER,
    started    INTEGER,
    ended      INTEGER,
    from_frame INTEGER NOT NULL,
    frames     INTEGER NOT NULL,
    of_frames  INTEGER NOT NULL,
    at_frame   INTEGER NOT NULL,
    level_db   REAL    NOT NULL,
    residents  INTEGER NOT NULL,
    area       TEXT    NOT NULL,
    used       TEXT    NOT NULL, -- what an alert was sounded with
    outcome    TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    clock      TEXT    NOT NULL,
    boot       TEXT    NOT NULL,
    mono_ms    INTEGER NOT NULL,
    superseded INTEGER NOT NULL DEFAULT 0, -- 1: a later receipt speaks of the same row
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX receipt_item ON receipt (strand, due, output, item, part);

-- Sums over items, kept in the transaction that stores their receipts. An item
-- is one clip of one airing on one output. level 0: an output's area and a
-- clip; 1: an output's area, whatever the clip (billing 0); 2: a town and a
-- clip.
CREATE TABLE tally (
    level     INTEGER NOT NULL,
    area      TEXT    NOT NULL,
    day       INTEGER NOT NULL,
    billing   INTEGER NOT NULL,
    planned   INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    started   INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    persons   INTEGER NOT NULL, -- residents in earshot, summed over completed
    PRIMARY KEY (level, area, day, billing)
) STRICT, WITHOUT ROWID;

-- The areas that tally knows at each level.
CREATE TABLE tally_area (
    level INTEGER NOT NULL,
    area  TEXT    NOT NULL,
    PRIMARY KEY (level, area)
) STRICT, WITHOUT ROWID;

-- Which outputs a clip was for, and on which it was completed, each day. Bit n
-- of block b is output b*4096+n.
CREATE TABLE presence (
    day      INTEGER NOT NULL,
    billing  INTEGER NOT NULL,
    block    INTEGER NOT NULL,
    targeted BLOB    NOT NULL,
    reached  BLOB    NOT NULL,
    PRIMARY KEY (day, billing, block)
) STRICT, WITHOUT ROWID;

-- Airings that fell due by a manifest and of which no receipt speaks yet.
CREATE TABLE silence (
    output  INTEGER NOT NULL REFERENCES output (id),
    slot    TEXT    NOT NULL,
    due     INTEGER NOT NULL,
    day     INTEGER NOT NULL,
    items   INTEGER NOT NULL, -- clips of the airing
    PRIMARY KEY (slot, due, output)
) STRICT, WITHOUT ROWID;

CREATE INDEX silence_day ON silence (day, output);

-- Emergency messages as they came in, and what became of them.
CREATE TABLE alert (
    id       TEXT    NOT NULL PRIMARY KEY, -- the dedup key
    received INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    source   TEXT    NOT NULL, -- ebd, cap, feed, hand
    state    TEXT    NOT NULL,
    why      TEXT    NOT NULL DEFAULT '',
    message  TEXT    NOT NULL, -- JSON: playlist.Alert
    detail   TEXT    NOT NULL DEFAULT '{}', -- JSON: what the county adds to it
    raw      BLOB    NOT NULL,
    ends     INTEGER -- when it is over
) STRICT;

CREATE INDEX alert_received ON alert (received);
CREATE INDEX alert_state ON alert (state);

-- Alerts that were retired before they came.
CREATE TABLE retired_alert (
    id TEXT    NOT NULL PRIMARY KEY,
    by TEXT    NOT NULL, -- the alert that did it
    at INTEGER NOT NULL
) STRICT;

-- Whom an alert was for when it was issued.
CREATE TABLE alert_target (
    alert      TEXT    NOT NULL REFERENCES alert (id),
    controller TEXT    NOT NULL REFERENCES controller (id),
    online     INTEGER NOT NULL, -- 1: it had been seen shortly before
    delivered  INTEGER, -- when it first said it holds the state
    PRIMARY KEY (alert, controller)
) STRICT, WITHOUT ROWID;

CREATE INDEX alert_target_controller ON alert_target (controller) WHERE delivered IS NULL;

-- EBD messages in and out.
CREATE TABLE ebd (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    way    TEXT    NOT NULL, -- in, out
    ebd_id TEXT    NOT NULL,
    type   TEXT    NOT NULL,
    peer   TEXT    NOT NULL,
    result TEXT    NOT NULL,
    raw    BLOB    NOT NULL
) STRICT;

CREATE INDEX ebd_at ON ebd (at);

-- The last counter of each certificate: one not above it is a replay.
CREATE TABLE certificate (
    name    TEXT    NOT NULL PRIMARY KEY,
    counter INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

-- Device events that controllers sent.
CREATE TABLE event (
    id         INTEGER PRIMARY KEY,
    controller TEXT    NOT NULL REFERENCES controller (id),
    at         INTEGER NOT NULL,
    level      INTEGER NOT NULL, -- as log/slog counts
    message    TEXT    NOT NULL,
    attrs      TEXT    NOT NULL, -- JSON object
    boot       TEXT    NOT NULL,
    mono_ms    INTEGER NOT NULL,
    number     INTEGER NOT NULL, -- the controller's; with boot and mono_ms it names the event
    UNIQUE (controller, number, boot, mono_ms)
) STRICT;

CREATE INDEX event_controller ON event (controller, at);
