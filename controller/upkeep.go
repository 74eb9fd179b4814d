package controller

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

// roomWanted is how much of the disk is kept free, in bytes, by giving up clips
// that no slot needs.
const roomWanted = 64 << 20

// upkeep keeps the store in order and the disk from filling.
type upkeep struct {
	store  *data.Store
	log    *slog.Logger
	now    func() time.Time
	trust  func() playlist.ClockState
	config func() *config.Config
	needs  func(context.Context) map[playlist.ClipID]bool
	waits  func(context.Context) bool // whether a county is to have the receipts

	full bool // no room could be made: the log says so
}

// makeRoom gives up the least-needed clips if the disk fills.
func (u *upkeep) makeRoom(ctx context.Context) {
	free, err := u.store.Free()
	if err != nil || free >= roomWanted {
		return // health tells of a disk that cannot be asked
	}
	needed := u.needs(ctx)
	freed, err := u.store.Shed(ctx, roomWanted-free, func(id playlist.ClipID) bool { return needed[id] })
	if errors.Is(err, data.ErrReadOnly) {
		return // the log says so since the store went over to memory
	}
	if err != nil && ctx.Err() == nil {
		u.log.Error("no room freed on the disk", "err", err)
	}
	if freed > 0 || err == nil && !u.full {
		u.log.Warn("disk nearly full", "free", free, "freed", freed)
	}
	u.full = freed == 0
}

// maintain backs the store up, tends it and deletes what the config no longer
// keeps.
func (u *upkeep) maintain(ctx context.Context) {
	u.backUp(ctx)
	if err := u.store.Tend(ctx); err != nil && ctx.Err() == nil {
		u.log.Warn("store maintenance failed", "err", err)
	}
	days := u.config().Store.Days
	if days <= 0 || u.trust() != playlist.ClockTrusted { // by a wrong clock all rows would be old
		return
	}
	if _, err := u.store.Prune(ctx, u.now(), time.Duration(days)*24*time.Hour, u.waits(ctx)); err != nil && ctx.Err() == nil {
		u.log.Warn("as-run log not pruned", "err", err)
	}
}

// backUp makes a backup if one is due. A clock that is not trusted cannot tell: one
// that lost the time would have a backup made after each power cut, and those of
// earlier days removed. Only the first backup does not wait for the clock.
func (u *upkeep) backUp(ctx context.Context) {
	if u.trust() != playlist.ClockTrusted {
		if h, err := u.store.Health(ctx); err != nil || h.Backups > 0 {
			return
		}
	}
	if path, err := u.store.BackupDue(ctx, u.now(), u.config().Store.Backups); err != nil && ctx.Err() == nil {
		u.log.Error("backup not made", "err", err)
	} else if path != "" {
		u.log.Info("backup made", "path", path)
	}
}
