package controller

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/player"
	"dalaba/playlist"
)

// aside holds sounds of alerts that the store does not have, because its disk is full,
// fails or hangs. They are heard all the same; they are gone when the daemon stops.
type aside struct {
	mu    sync.Mutex
	dir   string // made when the first of them comes
	clips map[playlist.ClipID]playlist.Clip
	came  map[playlist.ClipID]brought
}

// brought is a clip that came with an alert.
type brought struct {
	playlist.Clip
	raw []byte
}

func newAside() *aside {
	return &aside{clips: map[playlist.ClipID]playlist.Clip{}, came: map[playlist.ClipID]brought{}}
}

// with notes the bytes of a clip that came with an alert in force.
func (a *aside) with(c playlist.Clip, raw []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.came[c.ID] = brought{c, raw}
}

// put holds a clip.
func (a *aside) put(c playlist.Clip, raw []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.write(c, raw)
}

func (a *aside) write(c playlist.Clip, raw []byte) (err error) {
	if a.dir == "" {
		if a.dir, err = os.MkdirTemp(roomy(), "dalaba-alerts-"); err != nil {
			return err
		}
	}
	if err = os.WriteFile(a.path(c.ID), raw, 0o600); err == nil {
		a.clips[c.ID] = c
	}
	return err
}

func (a *aside) path(id playlist.ClipID) string { return filepath.Join(a.dir, string(id)+".mp3") }

// sound returns a clip that is held here.
func (a *aside) sound(id playlist.ClipID) (s player.AlertSound, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.clips[id]
	if b, came := a.came[id]; came && !ok && a.write(b.Clip, b.raw) == nil {
		c, ok = b.Clip, true
	}
	return player.AlertSound{Clip: c, Path: a.path(id)}, ok
}

// tidy gives up the clips that came with alerts that are over and, if no alert is in
// force, all others.
func (a *aside) tidy(needed map[playlist.ClipID]bool, quiet bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.came, func(id playlist.ClipID, _ brought) bool { return !needed[id] })
	if !quiet {
		return
	}
	for id := range a.clips {
		_ = os.Remove(a.path(id)) // else it goes with the folder
	}
	clear(a.clips)
}

func (a *aside) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dir == "" {
		return nil
	}
	return os.RemoveAll(a.dir)
}

// roomFor is what the making of a sound needs at most, in bytes.
const roomFor = 64 << 20

// roomy returns a temporary folder with room for the making of a sound: in memory, if the
// disk is full.
func roomy() string {
	var st unix.Statfs_t
	usual := os.TempDir()
	if unix.Statfs(usual, &st) == nil && st.Bavail*uint64(st.Bsize) < roomFor {
		if unix.Access("/dev/shm", unix.W_OK|unix.X_OK) == nil {
			return "/dev/shm"
		}
	}
	return usual
}

// storeWithin is how long an alert's sound waits for the store to take it.
const storeWithin = time.Second

// shelve stores a clip that was made for an alert. If the store does not take it soon, it
// is held aside, so that it can be heard.
func (a *alerts) shelve(ctx context.Context, c playlist.Clip, r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	stored := make(chan error, 1)
	a.work.Go(func() { stored <- a.store.PutClip(context.WithoutCancel(ctx), c, bytes.NewReader(raw)) })
	select {
	case err = <-stored:
	case <-time.After(storeWithin):
		err = errSlowStore
	case <-ctx.Done():
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	a.log.Error("sound of an alert not stored, held in a temporary folder", "clip", c.ID, "err", err)
	return a.aside.put(c, raw)
}

var errSlowStore = errors.New("the store takes long")
