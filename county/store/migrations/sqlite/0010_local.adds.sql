-- What the site has of its own, as JSON: a playlist.Local. Empty: it has not told.
ALTER TABLE controller ADD COLUMN local TEXT NOT NULL DEFAULT '';
