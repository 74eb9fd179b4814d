package main

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// errDamaged ends a server whose database was found damaged while it ran; the
// next start puts it right.
var errDamaged = errors.New("the database is damaged; start again to restore the last backup")

// keepEBD is how long the log of the emergency system is kept if receipts are
// kept for ever: no report uses it.
const keepEBD = 400 * 24 * time.Hour

// keepNotices is how long what the duty phone was told is kept.
const keepNotices = 90 * 24 * time.Hour

// keep keeps the store in order, hour by hour: backups of an SQLite database,
// receipts and the log of the emergency system no longer than the config says,
// what the duty phone was told, and no sessions that have ended.
func (c *centre) keep(ctx context.Context) error {
	st := c.store
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if path, err := st.BackupDue(ctx, time.Now(), c.s.backups); err != nil && ctx.Err() == nil {
			c.log.Error("backup not made", "err", err)
		} else if path != "" {
			c.log.Info("backup made", "path", path)
		}
		if c.s.keepReceipts > 0 {
			if n, err := st.Prune(ctx, time.Now().Add(-c.s.keepReceipts)); err != nil && ctx.Err() == nil {
				c.log.Warn("old receipts not deleted", "err", err)
			} else if n > 0 {
				c.log.Info("old receipts deleted; what reports count stays", "receipts", n)
			}
		}
		if n, err := st.PruneEBD(ctx, time.Now().Add(-cmp.Or(c.s.keepReceipts, keepEBD))); err != nil && ctx.Err() == nil {
			c.log.Warn("old messages of the emergency system not deleted", "err", err)
		} else if n > 0 {
			c.log.Info("old messages of the emergency system deleted; the alerts among them stay", "messages", n)
		}
		if _, err := st.PruneNotices(ctx, time.Now().Add(-keepNotices)); err != nil && ctx.Err() == nil {
			c.log.Warn("old notices not deleted", "err", err)
		}
		if _, err := st.PruneSessions(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("sessions that had ended not deleted", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
