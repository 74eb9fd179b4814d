-- The key that first used the epoch, or has taken it over. Empty if the program one
-- version back made the epoch: the next start sets it to that of its controller.
ALTER TABLE epoch ADD COLUMN public_key TEXT NOT NULL DEFAULT '';
CREATE INDEX epoch_name ON epoch (name);

-- The site's area by the controller's own config, as it last said.
ALTER TABLE controller ADD COLUMN site_area TEXT NOT NULL DEFAULT '';

-- JSON: what the controller said of itself when it asked to be enrolled.
ALTER TABLE controller ADD COLUMN said TEXT NOT NULL DEFAULT '{}';

-- How the alert stands on the controller, and why, as it last told.
ALTER TABLE alert_target ADD COLUMN state TEXT NOT NULL DEFAULT '';
ALTER TABLE alert_target ADD COLUMN why TEXT NOT NULL DEFAULT '';
