-- What a cancel or an update has named, come or not, with what stands behind it:
-- several messages may name one alert. A row of "retired" without one here was
-- written by an earlier program and ends its alert, whoever sent it. That program
-- is still given its rows.
CREATE TABLE retirement (
    id         TEXT    NOT NULL,
    retired_by TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    sender     TEXT    NOT NULL,
    proof      INTEGER NOT NULL, -- emergency.Proof
    lesser     INTEGER NOT NULL, -- 1: it may end no emergency
    PRIMARY KEY (id, retired_by)
) STRICT;
