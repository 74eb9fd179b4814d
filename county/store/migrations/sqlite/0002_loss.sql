-- Each time the database was found damaged or missing and a backup took its
-- place.
CREATE TABLE loss (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL, -- when it was found
    why    TEXT    NOT NULL,
    aside  TEXT    NOT NULL, -- where the damaged file lies; empty: there was none
    backup TEXT    NOT NULL, -- what was restored
    kept   INTEGER NOT NULL -- when that was made: what was recorded since is lost
) STRICT;
