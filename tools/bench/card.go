package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dalaba/devices/vcard"
	"dalaba/playlist"
)

// cards makes virtual cards by name. env is the environment variable with which
// a process finds them.
func (b *bench) cards(dir string, names ...string) (cards map[string]*vcard.Card, env string, err error) {
	if b.plugin == "" {
		if b.plugin, err = vcard.Build(b.dir); err != nil {
			return nil, "", err
		}
	}
	var specs []vcard.Spec
	for _, name := range names {
		specs = append(specs, vcard.Spec{Name: name})
	}
	config, made, err := vcard.Make(b.plugin, filepath.Join(b.dir, dir), specs...)
	cards = map[string]*vcard.Card{}
	for _, c := range made {
		cards[c.Name] = c
	}
	return cards, "ALSA_CONFIG_PATH=" + config, err
}

// tape is all frames that a card has consumed, and when.
type tape struct {
	heard []int16
	runs  []vcard.Run
}

func readTape(c *vcard.Card) (t tape, err error) {
	if t.runs, err = c.Log(); err != nil {
		return t, err
	}
	t.heard, err = c.Heard()
	return t, err
}

// sounding waits until the card consumes something, with a time limit.
func sounding(ctx context.Context, c *vcard.Card) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for {
		runs, err := c.Log()
		if err != nil || len(runs) > 0 {
			return err
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%s hears nothing: %w", c.Name, err)
		}
	}
}

// before returns how many frames began to sound before the instant.
func (t tape) before(at time.Time) (n int) {
	for _, r := range t.runs {
		if !r.At.Before(at) {
			break
		}
		n += int(min(r.Frames, playlist.FramesIn(at.Sub(r.At))+1))
	}
	return n
}

// when returns the instant at which frame n began to sound.
func (t tape) when(n int) (time.Time, bool) {
	for _, r := range t.runs {
		if n < int(r.Frames) {
			return r.At.Add(playlist.Length(int64(n))), true
		}
		n -= int(r.Frames)
	}
	return time.Time{}, false
}

// ends returns when the last frame was over.
func (t tape) ends() time.Time {
	if len(t.runs) == 0 {
		return time.Time{}
	}
	last := t.runs[len(t.runs)-1]
	return last.At.Add(playlist.Length(last.Frames))
}

// gaps returns how often between the instants the card had nothing to consume.
// If no sound is dropped each one is an underrun.
func (t tape) gaps(from, to time.Time) (n int) {
	// The card's log is exact to the rounding of a frame.
	const exact = 30 * time.Microsecond
	for i, r := range t.runs[:max(0, len(t.runs)-1)] {
		next := t.runs[i+1].At
		if next.Sub(r.At.Add(playlist.Length(r.Frames))) > exact && next.After(from) && next.Before(to) {
			n++
		}
	}
	return n
}

// reel writes the test clips one after another into a file of at least that
// length, which is a valid clip, and returns its path.
func (b *bench) reel(name string, length time.Duration) (string, error) {
	const perSecond = 64_000 / 8
	paths, err := b.clips()
	if err != nil {
		return "", err
	}
	var round []byte
	for _, path := range paths {
		bytes, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		round = append(round, bytes...)
	}
	if len(round) == 0 {
		return "", errors.New("the test clips are empty")
	}
	times := int(length.Seconds()*perSecond)/len(round) + 1
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, slices.Repeat(round, times), 0o644)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
