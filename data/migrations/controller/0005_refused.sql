-- Why the county cannot keep a receipt; NULL: nobody said so. It counts as
-- sent, for the receipts after it are to follow.
ALTER TABLE receipt ADD COLUMN refused TEXT;

CREATE INDEX receipt_refused ON receipt (epoch, seq) WHERE refused IS NOT NULL;
