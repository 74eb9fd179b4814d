package data

import (
	"context"
	"database/sql"
	"time"
)

// Health is the state of the store, for status.
type Health struct {
	Volatile   bool      `json:"volatile,omitempty"` // the disk cannot be written: what is recorded is only in memory
	InUse      bool      `json:"in_use,omitempty"`   // so it is because another program holds locks on the database
	Schema     int       `json:"schema"`             // number of the last migration
	Size       int64     `json:"size"`               // of the database, in bytes
	Free       int64     `json:"free"`               // bytes left on the disk
	Ballast    bool      `json:"ballast"`
	Epoch      string    `json:"epoch"`
	Seq        int64     `json:"seq"` // the last receipt made in this epoch
	Watermark  time.Time `json:"watermark,omitzero"`
	Floor      time.Time `json:"floor,omitzero"`
	Checked    time.Time `json:"checked,omitzero"` // when every page was last checked without a fault, to the hour
	LastBackup time.Time `json:"last_backup,omitzero"`
	Backups    int       `json:"backups"`
	Losses     []Loss    `json:"losses,omitempty"`
}

// Health returns the state of the store.
func (s *Store) Health(ctx context.Context) (Health, error) {
	var (
		h                         Health
		watermark, floor, checked sql.NullInt64
		err                       error
	)
	err = s.db().Reader().QueryRowContext(ctx, `SELECT e.name, s.seq, s.watermark, s.floor, s.checked
		FROM store s JOIN epoch e ON e.id = s.epoch`).Scan(&h.Epoch, &h.Seq, &watermark, &floor, &checked)
	if err != nil {
		return h, err
	}
	h.Watermark, h.Floor, h.Checked = instant(watermark), instant(floor), instant(checked)
	if h.Schema, err = s.db().Version(ctx); err != nil {
		return h, err
	}
	if h.Size, err = s.db().Size(); err != nil {
		return h, err
	}
	if h.Free, err = free(s.dir); err != nil {
		return h, err
	}
	h.Volatile, h.InUse = s.inMemory(), s.inUse()
	h.Ballast = hasBallast(s.dir)
	if h.Backups, h.LastBackup, err = Backups(s.dir); err != nil {
		return h, err
	}
	h.Losses, err = s.Losses(ctx)
	return h, err
}

// Backups returns how many backups of the store in dir there are, and when the last
// one was made. It needs no database that can be read.
func Backups(dir string) (n int, last time.Time, err error) {
	all, err := backups(dir).All()
	if len(all) > 0 {
		last = all[len(all)-1].At
	}
	return len(all), last, err
}

// Check reads every page of the database and returns [ErrDamaged] if they
// contradict one another. It repairs nothing.
func (s *Store) Check(ctx context.Context) error { return s.db().Check(ctx) }
