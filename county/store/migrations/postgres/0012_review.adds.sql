-- Until when an alert waits for a person, whose word it is that it sounds. NULL: it does
-- not wait. Its state is 'waiting', so that the program one version back has it sounded.
ALTER TABLE alert ADD COLUMN held BIGINT;
