package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dalaba/playlist"
)

// CheapPasswords has every password of this program cost next to nothing.
func CheapPasswords() { passwordCost = cost{time: 1, memory: 64, threads: 1} }

// AtFullCost has passwords cost what they should until it is undone.
func AtFullCost() (undo func()) {
	before := passwordCost
	passwordCost = fullCost
	return func() { passwordCost = before }
}

// Hash is what is kept of an administrator's password.
func Hash(ctx context.Context, s *Store, name string) (hash string, err error) {
	err = s.read().row(ctx, "SELECT hash FROM admin WHERE name = ?1", name).Scan(&hash)
	return hash, err
}

// LoginMeanwhile is Login during whose check of the password something else happens.
func LoginMeanwhile(ctx context.Context, s *Store, name, password string, expires time.Time, meanwhile func()) (string, error) {
	hash, err := s.checkLogin(ctx, name, password)
	if err != nil {
		return "", err
	}
	meanwhile()
	return s.openSession(ctx, name, hash, expires)
}

// Exec changes a store as no method of it does.
func Exec(ctx context.Context, s *Store, query string, args ...any) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error { return tx.exec(ctx, query, args...) })
}

// Sessions counts the sessions that are kept.
func Sessions(ctx context.Context, s *Store) (n int, err error) {
	err = s.read().row(ctx, "SELECT COUNT(*) FROM session").Scan(&n)
	return n, err
}

// FillYear writes the sums and sets of a year of airings: each controller has
// an output and airs each of the day's clips once.
func FillYear(ctx context.Context, s *Store, controllers, days, clips int) error {
	const towns, villages = 20, 15
	areas := make([]playlist.Area, controllers)
	for c := range controllers {
		areas[c] = playlist.Area(fmt.Sprintf("341523%03d%03d", 100+c%towns, 1+c/towns%villages))
		err := s.AddController(ctx, Controller{ID: playlist.ControllerID(fmt.Sprintf("c%d", c)), Area: areas[c], State: Active,
			Outputs: []Output{{Name: "村口", Area: areas[c], Residents: 300}}})
		if err != nil {
			return err
		}
	}
	first := s.Day(time.Date(2026, 1, 1, 0, 0, 0, 0, s.zone))
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		for n := range clips {
			err := tx.exec(ctx, "INSERT INTO billing (id, clip, title, series, issue) VALUES (?1, ?2, ?3, ?4, ?5)",
				int64(n+1), fmt.Sprintf("%064x", n+1), fmt.Sprint("第", n), fmt.Sprint("系列", n%4), int64(n))
			if err != nil {
				return err
			}
		}
		outputs, err := loadOutputs(ctx, tx, "")
		if err != nil {
			return err
		}
		for day := range days {
			b := &intake{s: s, tx: tx, tallies: map[tallyKey]sums{}, marks: map[presenceKey]*marks{}}
			for _, o := range outputs {
				for n := range clips {
					v := verdict{billing: int64(n + 1), area: string(o.Area), residents: 300, sums: sums{1, 1, 1, 1, 300}}
					b.book(first+int64(day), v, 1)
					id, err := s.earshot(ctx, tx, earshot{o.ID, v.residents})
					if err != nil {
						return err
					}
					b.mark(byOutput, first+int64(day), v.billing, o.ID, true)
					b.mark(byEarshot, first+int64(day), v.billing, id, true)
				}
			}
			if err := b.writeSums(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddController takes a controller into the fleet without a code.
func (s *Store) AddController(ctx context.Context, c Controller) error {
	if !playlist.IsToken(string(c.ID)) {
		return fmt.Errorf("%w: controller ID %q", playlist.ErrInvalid, c.ID)
	}
	return s.write(ctx, func(ctx context.Context, tx conn) error { return s.addController(ctx, tx, c) })
}

// Dir is the folder that the clips lie in.
func (s *Store) Dir() string { return s.dir }

// ForgetRetirements leaves of what was retired what the program one version back
// would have noted.
func ForgetRetirements(ctx context.Context, s *Store) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error { return tx.exec(ctx, "DELETE FROM retirement") })
}

// Damage has the message of an alert say nothing that can be read.
func Damage(ctx context.Context, s *Store, id playlist.AlertID) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		return tx.exec(ctx, "UPDATE alert SET message = '[]' WHERE id = ?1", string(id))
	})
}

// Uncopied lists the tables and columns of a SQLite store that a copy would lack.
func Uncopied(ctx context.Context, s *Store) (all []string, err error) {
	copied := map[string]bool{}
	for _, t := range tables {
		for column := range strings.SplitSeq(t.columns, ",") {
			copied[t.name+"."+strings.TrimSpace(column)] = true
		}
	}
	err = s.read().each(ctx, `SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1`, nil, func(scan func(...any) error) error {
		var column string
		err := scan(&column)
		if !copied[column] {
			all = append(all, column)
		}
		return err
	})
	return all, err
}
