-- The user who had the document issued. Empty: the county itself, or the program one
-- version back.
ALTER TABLE envelope ADD COLUMN author TEXT NOT NULL DEFAULT '';
