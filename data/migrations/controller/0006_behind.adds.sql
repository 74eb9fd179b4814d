-- What kept an airing from its output, or took the output from it: the airing, or
-- "hand/" and a user for a sound by hand. Empty: nothing did, or nobody knows.
ALTER TABLE asrun ADD COLUMN behind TEXT NOT NULL DEFAULT '';
