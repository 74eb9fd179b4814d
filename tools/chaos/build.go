package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// plant is a bug that a build of the program can have without a change to the
// source tree.
type plant struct {
	about   string
	file    string
	replace [][2]string
}

var plants = map[string]plant{
	"claim-late": {
		about: "an airing is claimed after its first sample, not before",
		file:  "player/perform.go",
		replace: [][2]string{
			{`	c, err = f.claimFresh(ctx, c, f.deadline())
	if errors.Is(err, errStore) && ctx.Err() == nil {
		return nil, unaired(asrun.ReasonStore)
	}
	return c, err
`, `	return c, nil
`},
			{`	f.play(c, Cue{At: f.at, Mono: mono, Deadline: deadline.Add(lead)})
`, `	f.play(c, Cue{At: f.at, Mono: mono, Deadline: deadline.Add(lead)})
	if err := sleepUntil(ctx, f.p.Wall, later(f.at, f.p.Wall()).Add(5*time.Second)); err != nil {
		return c.row.Item, err
	}
	if err := c.claim(ctx); err != nil {
		return c.row.Item, err
	}
`},
		},
	},
	"no-checkpoint": {
		about: "how far an airing has come is never saved",
		file:  "player/entry.go",
		replace: [][2]string{
			{`if time.Since(e.kept) >= checkpointEvery && e.idle() {`, `if false && e.idle() {`},
		},
	},
	"receipt-outside": {
		about: "a receipt is made in a transaction after the one that closes its row",
		file:  "data/ledger.go",
		replace: [][2]string{
			{`	return s.write(ctx, func(tx *sql.Tx) error { return end(ctx, tx, k, e, s.now()) })
`, `	if err := s.write(ctx, func(tx *sql.Tx) error { return end(ctx, tx, k, e, time.Time{}) }); err != nil {
		return err
	}
	time.Sleep(1500 * time.Millisecond)
	return s.write(ctx, func(tx *sql.Tx) error {
		var id int64
		err := tx.QueryRowContext(ctx, "SELECT id FROM asrun WHERE airing = ? AND output = ? AND item = ? AND part = ?",
			k.Airing, k.Output, k.Item, k.Part).Scan(&id)
		if err != nil {
			return err
		}
		return receipt(ctx, tx, id, s.now())
	})
`},
			{`	if err := receipt(ctx, tx, id, made); err != nil {
		return err
	}
	if err := giveBack(`, `	if !made.IsZero() {
		if err := receipt(ctx, tx, id, made); err != nil {
			return err
		}
	}
	if err := giveBack(`},
		},
	},
	"cursor-first": {
		about: "the playlist moves on in a transaction before the one that claims its clip",
		file:  "data/ledger.go",
		replace: [][2]string{
			{`	return s.write(ctx, func(tx *sql.Tx) error {
		there, err := exists(ctx, tx, r.Key())
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("%w: %v", asrun.ErrClaimed, r.Key())
		}
`, `	if c.Before != nil {
		err := s.write(ctx, func(tx *sql.Tx) error {
			at, err := cursor(ctx, tx, r.Playlist)
			if err != nil {
				return err
			}
			if at != *c.Before {
				return fmt.Errorf("%w: playlist %s", asrun.ErrStale, r.Playlist)
			}
			return setCursor(ctx, tx, r.Playlist, *c.After)
		})
		if err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		there, err := exists(ctx, tx, r.Key())
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("%w: %v", asrun.ErrClaimed, r.Key())
		}
`},
			{`			if at != *c.Before {
				return fmt.Errorf("%w: playlist %s", asrun.ErrStale, r.Playlist)
			}
			if err := setCursor`, `			if at != *c.After {
				return fmt.Errorf("%w: playlist %s", asrun.ErrStale, r.Playlist)
			}
			if err := setCursor`},
		},
	},
}

// patched returns the file's text with the bug in it.
func (p plant) patched(text string) (string, error) {
	for _, r := range p.replace {
		if n := strings.Count(text, r[0]); n != 1 {
			return "", fmt.Errorf("%s holds this %d times, not once; the planted bug must follow the code:\n%s", p.file, n, r[0])
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return text, nil
}

// nextMigration is a change that a later version might make to the store.
const nextMigration = `
ALTER TABLE asrun ADD COLUMN remark TEXT NOT NULL DEFAULT '';
UPDATE asrun SET remark = airing || ' on ' || output;
CREATE INDEX asrun_remark ON asrun (remark);
`

// build builds the program under test, and a later version of it that has one
// more migration.
func (h *harness) build(ctx context.Context) error {
	over := map[string]string{}
	if h.plant != "" {
		p := plants[h.plant]
		text, err := os.ReadFile(filepath.Join(h.root, p.file))
		if err != nil {
			return err
		}
		bad, err := p.patched(string(text))
		if err != nil {
			return err
		}
		if over[p.file], err = h.write("plant.go", bad); err != nil {
			return err
		}
	}
	var err error
	if h.program, err = h.goBuild(ctx, "dalaba", over); err != nil {
		return err
	}
	if !h.wants("migrate") {
		return nil
	}
	steps, err := filepath.Glob(filepath.Join(h.root, migrationDir, "*.sql"))
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%04d_next.sql", len(steps)+1)
	over = map[string]string{}
	if over[filepath.Join(migrationDir, name)], err = h.write(name, nextMigration); err != nil {
		return err
	}
	h.next, err = h.goBuild(ctx, "dalaba-next", over)
	return err
}

const migrationDir = "data/migrations/controller"

func (h *harness) write(name, text string) (string, error) {
	path := filepath.Join(h.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// goBuild builds the controller, with some files of the source tree replaced.
func (h *harness) goBuild(ctx context.Context, name string, over map[string]string) (string, error) {
	full := map[string]string{}
	for file, by := range over {
		full[filepath.Join(h.root, file)] = by
	}
	text, err := json.Marshal(map[string]any{"Replace": full})
	if err != nil {
		return "", err
	}
	overlay, err := h.write(name+".json", string(text))
	if err != nil {
		return "", err
	}
	bin := filepath.Join(h.dir, name)
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-overlay", overlay, "-o", bin, "./cmd/dalaba")
	c.Dir = h.root
	if said, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/dalaba: %w\n%s", err, said)
	}
	return bin, nil
}
