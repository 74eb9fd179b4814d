package store

import (
	"context"
	"fmt"
	"strings"
)

// tables are all of a store's, those that others refer to first, and their
// columns.
var tables = []struct {
	name, columns string
	numbered      bool // its id is given out by the database
}{
	{"setting", "key, value", false},
	{"admin", "name, hash, changed", false},
	{"session", "hash, admin, expires, used", false},
	{"controller", `id, name, area, groups, public_key, fingerprint, broker_user, state, made, changed, seen, version, have, health,
		unsent, clock, fault, site_area, said, local`, false},
	{"output", "id, controller, name, area, residents, gone", true},
	{"code", "id, secret, controller, name, area, groups, approve, made, expires, public_key, used", false},
	{"envelope", "kind, scope, version, bytes, digest, at, note, author", false},
	{"clip", "id, title, series, issue, language, text, tags, frames, size, added, figures", false},
	{"source", "path, size, mtime, sha256, recipe, clip", false},
	{"strand", "id, slot, playlist, airing, alert", true},
	{"billing", "id, clip, title, series, issue", true},
	{"epoch", "id, controller, name, mark, lost, at, earshot_mark, public_key", true},
	{"receipt", receiptColumns + ", superseded", false},
	{"tally", "level, area, day, billing, planned, delivered, started, completed, persons", false},
	{"tally_area", "level, area", false},
	{"presence", "day, billing, block, targeted, reached", false},
	{"presence_day", "day, block, targeted, reached", false},
	{"earshot", "id, output, residents", true},
	{"earshot_presence", "day, billing, block, targeted, reached", false},
	{"earshot_presence_day", "day, block, targeted, reached", false},
	{"silence", "output, slot, due, day, items, residents", false},
	{"alert", "id, received, changed, source, state, why, message, detail, raw, ends, owed, held", false},
	{"retired_alert", "id, by, at", false},
	{"retirement", "id, by, at", false},
	{"alert_target", "alert, controller, online, delivered, state, why", false},
	{"ebd", "id, at, way, ebd_id, type, peer, result, raw", true},
	{"certificate", "name, counter, at", false},
	{"notice", "id, key, recipient, kind, level, text, at, state, next, tries, ended, why", true},
	{"watch", "kind, subject, state", false},
	{"loss", "id, at, why, aside, backup, kept", true},
	{"event", "id, controller, at, level, message, attrs, boot, mono_ms, number", true},
}

// Copied is how much of a table was copied.
type Copied struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// Copy copies all that one store holds into another, which must be empty of
// it, in one transaction: all of it is there afterwards, or none. No one may
// write to from meanwhile. Clip files are not touched.
func Copy(ctx context.Context, from, to *Store) ([]Copied, error) {
	var done []Copied
	err := to.write(ctx, func(ctx context.Context, tx conn) error {
		done = nil
		var there int64
		err := tx.row(ctx, "SELECT (SELECT count(*) FROM controller) + (SELECT count(*) FROM envelope) + (SELECT count(*) FROM receipt)").Scan(&there)
		if err != nil {
			return err
		}
		if there > 0 {
			return fmt.Errorf("%w: the store copied to is not empty", ErrConflict)
		}
		if err := tx.exec(ctx, "DELETE FROM setting"); err != nil {
			return err
		}
		for _, t := range tables {
			n, err := copyTable(ctx, from.read(), tx, t.name, t.columns)
			if err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
			if t.numbered && tx.pg {
				err := tx.exec(ctx, fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%s', 'id'), coalesce((SELECT max(id) FROM %s), 0) + 1, false)`, t.name, t.name))
				if err != nil {
					return err
				}
			}
			done = append(done, Copied{t.name, n})
		}
		return nil
	})
	return done, err
}

func copyTable(ctx context.Context, from, to conn, name, columns string) (n int64, err error) {
	width := strings.Count(columns, ",") + 1
	var rows [][]any
	flush := func() error {
		err := insertMany(ctx, to, fmt.Sprintf("INSERT INTO %s (%s) VALUES ", name, columns), "", rows)
		n += int64(len(rows))
		rows = rows[:0]
		return err
	}
	err = from.each(ctx, fmt.Sprintf("SELECT %s FROM %s", columns, name), nil, func(scan func(...any) error) error {
		row, at := make([]any, width), make([]any, width)
		for i := range row {
			at[i] = &row[i]
		}
		if err := scan(at...); err != nil {
			return err
		}
		rows = append(rows, row)
		if len(rows) == 200 {
			return flush()
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	return n, flush()
}
