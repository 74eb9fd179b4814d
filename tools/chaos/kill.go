package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"dalaba/data/sqlite"
	"dalaba/playlist"
)

// kind is a moment in the controller's life at which to kill it.
type kind struct {
	name   string
	weight int
	kill   func(*harness, context.Context) (*life, error)
}

var kinds = []kind{
	{"any", 3, func(h *harness, ctx context.Context) (*life, error) { return h.killAfter(ctx, h.upTo(4*time.Second)) }},
	{"start", 3, func(h *harness, ctx context.Context) (*life, error) {
		return h.killAfter(ctx, h.upTo(300*time.Millisecond))
	}},
	{"claim", 4, func(h *harness, ctx context.Context) (*life, error) {
		return h.killDue(ctx, -1100*time.Millisecond+h.upTo(300*time.Millisecond))
	}},
	{"sample", 4, (*harness).killSample},
	{"air", 5, func(h *harness, ctx context.Context) (*life, error) { return h.killDue(ctx, h.upTo(3*time.Second)) }},
	{"end", 3, func(h *harness, ctx context.Context) (*life, error) {
		return h.killDue(ctx, 1200*time.Millisecond+h.upTo(600*time.Millisecond))
	}},
	{"long", 1, (*harness).killLong},
	{"reload", 3, func(h *harness, ctx context.Context) (*life, error) { return h.killReloading(ctx, false) }},
	{"import", 2, func(h *harness, ctx context.Context) (*life, error) { return h.killReloading(ctx, true) }},
	{"backup", 2, (*harness).killBackup},
	{"migrate", 1, (*harness).killMigrating},
}

func kindNames() (all []string) {
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}

func pickKinds(only string) ([]kind, error) {
	if only == "" {
		return kinds, nil
	}
	var all []kind
	for _, name := range strings.Split(only, ",") {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no kind of kill named %q", name)
		}
		all = append(all, kinds[i])
	}
	return all, nil
}

func (h *harness) wants(kind string) bool {
	_, ok := h.of(kind)
	return ok
}

func (h *harness) of(name string) (kind, bool) {
	i := slices.IndexFunc(h.kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return h.kinds[i], true
}

// killAfter kills so long after the start.
func (h *harness) killAfter(ctx context.Context, d time.Duration) (*life, error) {
	l, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	return l, errors.Join(sleep(ctx, d), h.kill(l))
}

// killDue kills so long after an instant at which something is due: the first or
// second such instant that is at least 1.6 s after the start.
func (h *harness) killDue(ctx context.Context, offset time.Duration) (*life, error) {
	l, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	at := l.start
	from := l.start.Add(1600 * time.Millisecond)
	skip := h.rand.IntN(2)
	for a := range h.site.versions[l.version].programme.Timetable().After(from) {
		if at = a.Due; skip == 0 {
			break
		}
		skip--
	}
	return l, errors.Join(sleep(ctx, time.Until(at.Add(offset))), h.kill(l))
}

// killSample kills near the first sample of an airing. A planted bug shows only
// after some samples, so with one it waits for them.
func (h *harness) killSample(ctx context.Context) (*life, error) {
	if h.plant == "" {
		return h.killDue(ctx, h.upTo(400*time.Millisecond))
	}
	l, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	return l, errors.Join(h.sounds(ctx, l), h.kill(l))
}

// sounds waits until a life has played a quarter of a second of sound.
func (h *harness) sounds(ctx context.Context, l *life) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		for name, card := range h.site.cards {
			t, err := readTape(card)
			if errors.Is(err, os.ErrNotExist) {
				continue // the card has not been opened yet
			}
			if err != nil {
				return err
			}
			loud := 0
			for _, x := range t.frames[min(l.base[name], int64(len(t.frames))):] {
				loud += b2i(x > 100 || x < -100)
			}
			if loud > playlist.Rate/4 {
				return nil
			}
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("nothing sounded in %v: %w", patience, err)
		}
	}
}

// killLong kills in a clip that has sounded for longer than the time between two
// checkpoints.
func (h *harness) killLong(ctx context.Context) (*life, error) {
	l, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	soon, cancel := context.WithTimeout(ctx, 30*time.Second)
	_, err = l.said(soon, l.start.Add(500*time.Millisecond), saidOnAir, "slot=long")
	cancel()
	switch {
	case err == nil:
		err = sleep(ctx, 5*time.Second+h.upTo(6*time.Second))
	case errors.Is(err, context.DeadlineExceeded):
		err = nil // a slot of a higher rank had the output
	}
	return l, errors.Join(err, h.kill(l))
}

// killReloading kills while a changed config comes into force, with a new clip if
// imports.
func (h *harness) killReloading(ctx context.Context, imports bool) (*life, error) {
	l, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	at, err := l.said(ctx, l.start, saidStarted)
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, time.Until(at.Add(500*time.Millisecond+h.upTo(time.Second)))); err != nil {
		return nil, err
	}
	const most = 90 // softer clips would be too close to silence
	if imports && h.site.made < most {
		if err := h.site.addClip(fmt.Sprintf("lesson-%02d", h.site.made), 50+h.rand.IntN(30)); err != nil {
			return nil, err
		}
	}
	if err := h.site.change(); err != nil {
		return nil, err
	}
	if h.rand.IntN(2) == 0 {
		told := time.Now()
		if err := l.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			return nil, err
		}
		at, err := l.said(ctx, told, saidReloaded)
		if err != nil {
			return nil, err
		}
		h.site.versions[h.site.latest()].known = at
		return l, errors.Join(sleep(ctx, h.upTo(2*time.Second)), h.kill(l))
	}
	if err := l.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return nil, err
	}
	return l, errors.Join(sleep(ctx, h.upTo(60*time.Millisecond)), h.kill(l))
}

// killBackup kills while the controller makes the day's backup.
func (h *harness) killBackup(ctx context.Context) (*life, error) {
	all, err := filepath.Glob(filepath.Join(h.site.data(), "backup", "dalaba-*.db"))
	if err != nil {
		return nil, err
	}
	slices.Sort(all)
	if len(all) > 0 {
		last := all[len(all)-1]
		var number int
		if _, err := fmt.Sscanf(filepath.Base(last), "dalaba-%06d-", &number); err != nil {
			return nil, fmt.Errorf("%s: %w", last, err)
		}
		old := time.Now().Add(-48 * time.Hour).UTC().Format("20060102T150405Z")
		if err := os.Rename(last, filepath.Join(filepath.Dir(last), fmt.Sprintf("dalaba-%06d-%s.db", number, old))); err != nil {
			return nil, err
		}
	}
	l, err := h.begin(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := l.said(ctx, l.start, saidStarted); err != nil {
		return nil, err
	}
	return l, errors.Join(sleep(ctx, h.upTo(120*time.Millisecond)), h.kill(l))
}

// killMigrating lets a later version of the program migrate a copy of the store,
// kills it on the way twice and then lets it finish. No row may be lost or
// changed, and the present version must then refuse the store.
func (h *harness) killMigrating(ctx context.Context) (*life, error) {
	dir, err := os.MkdirTemp(h.dir, "migrate-")
	if err != nil {
		return nil, err
	}
	config, err := h.copySite(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "data", "dalaba.db")
	before, err := closedRows(ctx, path)
	if err != nil {
		return nil, err
	}
	for _, after := range []time.Duration{h.upTo(40 * time.Millisecond), h.upTo(80 * time.Millisecond), 0} {
		if err := h.migrate(ctx, dir, config, after); err != nil {
			return nil, err
		}
		if err := sqlite.CheckFile(ctx, path); err != nil {
			return nil, fmt.Errorf("the store after a migration cut off: %w", err)
		}
	}
	after, err := closedRows(ctx, path)
	if err != nil {
		return nil, err
	}
	for k := range before {
		if !after[k] {
			h.lost = append(h.lost, fmt.Sprintf("%s: lost or changed by a migration that was cut off", k))
		}
	}
	said, err := h.dalaba(h.program, config).CombinedOutput()
	if err == nil || !strings.Contains(string(said), "newer") {
		h.lost = append(h.lost, fmt.Sprintf("a store of a newer schema is not refused by that word: %v\n%s", err, said))
	}
	return nil, os.RemoveAll(dir)
}

// copySite copies the store to a folder, and writes a config there that uses no
// card and has no slots. It returns the path of the config.
func (h *harness) copySite(dir string) (config string, err error) {
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"dalaba.db", "dalaba.db-wal"} {
		b, err := os.ReadFile(filepath.Join(h.site.data(), name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "data", name), b, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	config = filepath.Join(dir, "dalaba.toml")
	text := strings.NewReplacer("alsa:east", "null:", "alsa:west", "null:", "clips/", h.site.dir+"/clips/").Replace(configHead)
	return config, os.WriteFile(config, []byte(text), 0o600)
}

// migrate starts the later version, and kills it after a while, or once it has
// started if after is 0.
func (h *harness) migrate(ctx context.Context, dir, config string, after time.Duration) error {
	c := h.dalaba(h.next, config)
	pipe, err := c.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	l := &life{more: make(chan struct{}), read: make(chan struct{})}
	if l.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return err
	}
	go l.listen(pipe)
	if after > 0 {
		err = sleep(ctx, after)
	} else {
		_, err = l.said(ctx, time.Time{}, saidStarted)
	}
	kerr := c.Process.Kill()
	<-l.read
	_ = c.Wait() // it was killed
	return errors.Join(err, kerr, l.log.Close())
}

// closedRows returns the closed rows, as text, of a database that no program has
// open.
func closedRows(ctx context.Context, path string) (map[string]bool, error) {
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, `SELECT airing || ' on ' || output || ' item ' || item || ' part ' || part || ', ' ||
		frames || ' frames, ' || outcome || ' ' || reason || ', receipt ' || seq FROM asrun WHERE outcome != ''`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := map[string]bool{}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all[s] = true
	}
	return all, rows.Err()
}
