-- When whoever sent an alert is to be told of its state again, as long as that
-- was not acknowledged.
ALTER TABLE alert ADD COLUMN owed BIGINT;
CREATE INDEX alert_owed ON alert (owed) WHERE owed IS NOT NULL;
