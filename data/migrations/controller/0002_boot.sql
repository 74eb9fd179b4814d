-- When a boot of the machine began, once a clock worth trusting told: rows
-- written before it did can then be put right by their mono_ms. The rows
-- themselves stay as they were written.
CREATE TABLE boot (
    boot  TEXT    NOT NULL PRIMARY KEY,
    began INTEGER NOT NULL, -- its monotonic zero
    known INTEGER NOT NULL  -- when that was settled
) STRICT;
