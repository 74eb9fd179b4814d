-- Sums for reports on a whole county, which no longer go through every town's
-- clips. level 3: a county and a clip; 4: a town, whatever the clip (billing 0).
INSERT INTO tally (level, area, day, billing, planned, delivered, started, completed, persons)
    SELECT 3, CASE WHEN length(area) = 12 THEN substr(area, 1, 6) || '000000' ELSE area END, day, billing,
        sum(planned), sum(delivered), sum(started), sum(completed), sum(persons)
    FROM tally WHERE level = 2 GROUP BY 2, 3, 4;

INSERT INTO tally (level, area, day, billing, planned, delivered, started, completed, persons)
    SELECT 4, area, day, 0, sum(planned), sum(delivered), sum(started), sum(completed), sum(persons)
    FROM tally WHERE level = 2 GROUP BY area, day;

INSERT INTO tally_area (level, area) SELECT DISTINCT level, area FROM tally WHERE level IN (3, 4);

-- The sets of presence, whatever the clip.
CREATE TABLE presence_day (
    day      BIGINT NOT NULL,
    block    BIGINT NOT NULL,
    targeted BYTEA       NOT NULL,
    reached  BYTEA       NOT NULL,
    PRIMARY KEY (day, block)
);
