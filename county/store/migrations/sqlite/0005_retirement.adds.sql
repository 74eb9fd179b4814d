-- What a cancel or an update has named, come or not: several messages may name
-- one alert, and who they are is looked up when it comes. A row of
-- "retired_alert" without one here was written by an earlier program and ends its
-- alert, whoever sent it. That program is still given its rows.
CREATE TABLE retirement (
    id TEXT    NOT NULL,
    by TEXT    NOT NULL, -- the alert that did it
    at INTEGER NOT NULL,
    PRIMARY KEY (id, by)
) STRICT;
