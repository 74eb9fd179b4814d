package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"time"

	"dalaba/data"
	"dalaba/playlist/asrun"
)

// readStore reads the rows of the as-run log, and checks that the store keeps
// its own rules: no loss, clips as their names say, an intact database, one
// receipt for each row.
func (j *judgement) readStore(ctx context.Context) (err error) {
	store, err := data.OpenReadOnly(ctx, j.site.data())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := j.readRows(ctx, store); err != nil {
		return err
	}
	losses, err := store.Losses(ctx)
	if err != nil {
		return err
	}
	for _, l := range losses {
		j.breach("the store lost something: %+v", l)
	}
	j.checkClips(ctx, store)
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(j.site.data(), "dalaba.db")+"?mode=ro")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var intact string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&intact); err != nil {
		return err
	}
	if intact != "ok" {
		j.breach("the store is damaged: %s", intact)
	}
	return j.checkReceipts(ctx, db)
}

// readRows reads the rows, and finds the life of each by its time since boot.
func (j *judgement) readRows(ctx context.Context, store *data.Store) error {
	for r, err := range store.AsRun(ctx, data.Query{}) {
		if err != nil {
			return err
		}
		x := &row{Row: r}
		mono := time.Duration(r.MonoMS) * time.Millisecond
		for _, l := range j.lives {
			if mono >= l.up-time.Millisecond && mono <= l.down {
				x.life = l
			}
		}
		if x.life == nil {
			j.breach("%v: opened while the controller was off", x)
		}
		j.rows = append(j.rows, x)
	}
	return nil
}

// checkClips checks that each clip is in the store and its file is what its
// name says.
func (j *judgement) checkClips(ctx context.Context, store *data.Store) {
	for id, c := range j.site.clips {
		if _, _, err := store.Clip(ctx, id); err != nil {
			j.breach("clip %s is not in the store: %v", c.name, err)
			continue
		}
		if err := store.VerifyClip(ctx, id); err != nil {
			j.breach("clip %s: %v", c.name, err)
		}
	}
}

// checkReceipts checks that each row is closed and has a receipt of its own,
// and that no number of a receipt is missing.
func (j *judgement) checkReceipts(ctx context.Context, db *sql.DB) error {
	made, epochs, err := j.readReceipts(ctx, db)
	if err != nil {
		return err
	}
	var last int64
	if err := db.QueryRowContext(ctx, "SELECT seq FROM store").Scan(&last); err != nil {
		return err
	}
	for n := int64(1); n <= last; n++ {
		if !made[n] {
			j.breach("receipt %d of %d is missing", n, last)
		}
	}
	if len(epochs) > 1 {
		j.breach("%d epochs of receipts though no store was lost", len(epochs))
	}
	return nil
}

// readReceipts checks each row's receipt, and returns the numbers and the
// epochs of all receipts.
func (j *judgement) readReceipts(ctx context.Context, db *sql.DB) (made, epochs map[int64]bool, err error) {
	byKey := map[asrun.RowKey]*row{}
	for _, r := range j.rows {
		byKey[r.Key()] = r
	}
	rows, err := db.QueryContext(ctx, `SELECT a.airing, a.output, a.item, a.part, a.id, a.seq, coalesce(r.seq, 0), coalesce(r.made, 0),
		coalesce(r.epoch, 0) FROM asrun a LEFT JOIN receipt r ON r.asrun = a.id`)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	made, epochs = map[int64]bool{}, map[int64]bool{}
	for rows.Next() {
		var (
			k                               asrun.RowKey
			id, seq, receipt, micros, epoch int64
		)
		if err := rows.Scan(&k.Airing, &k.Output, &k.Item, &k.Part, &id, &seq, &receipt, &micros, &epoch); err != nil {
			return nil, nil, err
		}
		r := byKey[k]
		r.id, r.made = id, time.UnixMicro(micros)
		switch {
		case r.Outcome == "":
			j.breach("%v: still open", r)
		case receipt == 0:
			j.breach("%v: closed without a receipt", r)
		case receipt != seq || made[receipt]:
			j.breach("%v: its receipt is number %d, another's or twice", r, receipt)
		}
		made[receipt] = true
		if receipt > 0 {
			epochs[epoch] = true
		}
		r.late = r.life != nil && r.made.After(r.life.end)
	}
	return made, epochs, rows.Err()
}
