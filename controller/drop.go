package controller

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dalaba/ingest"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// dropFolder takes messages out of the drop folder for alerts.
func (c *Controller) dropFolder(ctx context.Context, cfg *config.Config) error {
	if cfg.Alert.Drop == "" {
		return nil
	}
	p := &dropped{dir: cfg.Alert.Drop, lang: c.Language(cfg.Site.Language), log: c.log, receive: func(ctx context.Context, raw []byte) (emergency.Record, error) {
		r, _, err := c.alerts.take(ctx, raw, playlist.AlertByDrop)
		return r, err
	}}
	return p.run(ctx)
}

// dropped watches the drop folder for alerts, a way in that needs no network.
type dropped struct {
	dir       string
	lang      say.Lang
	log       *slog.Logger
	receive   func(context.Context, []byte) (emergency.Record, error)
	seen      map[string]arrived
	lastFault string // as the log has it
}

// arrived is a file as it was last seen.
type arrived struct {
	size  int64
	mtime time.Time
	since time.Time // it has been so
	stuck bool      // it was taken but could not be moved away: once is enough
}

func (f arrived) is(info fs.FileInfo) bool {
	return f.size == info.Size() && f.mtime.Equal(info.ModTime())
}

const (
	dropEvery  = time.Second
	dropSettle = 5 * time.Second // what is no message as it stands may still be arriving for so long
)

// errArriving says that a file may not be whole yet.
var errArriving = errors.New("it is still arriving")

func (p *dropped) run(ctx context.Context) error {
	for _, dir := range []string{p.dir, filepath.Join(p.dir, "taken"), filepath.Join(p.dir, "refused")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			p.log.Error("alert folder cannot be made", "path", dir, "err", err)
		}
	}
	for pause(ctx, dropEvery) == nil {
		if err := p.sweep(ctx); err != nil && err.Error() != p.lastFault {
			p.lastFault = err.Error()
			p.log.Error("alert folder cannot be read", "path", p.dir, "err", err)
		}
	}
	return nil
}

// sweep takes each file that has not changed since the last look.
func (p *dropped) sweep(ctx context.Context) error {
	if ingest.InStore(p.dir) {
		return errDropStore
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	still := map[string]arrived{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), ".txt") {
			continue
		}
		f, known := p.seen[e.Name()]
		if known = known && f.is(info); !known {
			f = arrived{size: info.Size(), mtime: info.ModTime(), since: time.Now()}
		}
		if known && !f.stuck {
			if err := p.take(ctx, e.Name(), f); err != nil && !errors.Is(err, errArriving) {
				p.log.Error("alert file cannot be moved", "path", filepath.Join(p.dir, e.Name()), "err", err)
				f.stuck = true
			}
		}
		still[e.Name()] = f
	}
	p.seen = still
	return nil
}

// errDropStore says that the folder is no place to take files from.
var errDropStore = errors.New("the folder holds the controller's own store; name another as drop")

// take takes one file, and moves it away: one that was refused has a note
// beside it that says why. A message that is whole does not wait to be sure
// that it is; what is none, or changes as it is read, is given time to arrive.
func (p *dropped) take(ctx context.Context, name string, f arrived) error {
	path := filepath.Join(p.dir, name)
	raw, err := ReadMessage(path)
	if info, serr := os.Lstat(path); err == nil && (serr != nil || !f.is(info) || int64(len(raw)) != f.size) {
		return errArriving
	}
	var r emergency.Record
	if err == nil {
		r, err = p.receive(ctx, raw)
	}
	if err != nil && !errors.Is(err, player.ErrNotStored) && time.Since(f.since) < dropSettle {
		return errArriving
	}
	if errors.Is(err, player.ErrNotStored) {
		return err // it sounds; after a power cut it must be found again
	}
	if err == nil && r.State != emergency.StateRefused {
		return os.Rename(path, filepath.Join(p.dir, "taken", name))
	}
	if err == nil {
		err = say.M("alerts.reason_" + string(r.Reason))
	}
	p.log.Warn("alert file refused", "path", path, "err", err)
	note := filepath.Join(p.dir, "refused", name+".txt")
	return errors.Join(
		os.Rename(path, filepath.Join(p.dir, "refused", name)),
		os.WriteFile(note, []byte(say.In(p.lang, err)+"\n"), 0o644))
}
