-- When a session was last used, give or take a few minutes: one that rests for long ends.
-- NULL: the program one version back opened it, and it has not been used since.
ALTER TABLE session ADD COLUMN used BIGINT;
