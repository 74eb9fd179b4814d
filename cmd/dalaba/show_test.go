package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
)

// missedAt is what the player tells of an airing that was missed.
func missedAt(output string, due time.Time) player.Moment {
	return player.Moment{Kind: player.MomentSilent, Row: asrun.Row{
		Airing: playlist.AiringID("often@" + due.Format(time.RFC3339)), Slot: "often", Output: output, Item: 1,
		Due: due, Ended: time.Now(), Outcome: asrun.Missed, Reason: asrun.ReasonOff,
	}}
}

// quietDaemon is a daemon of which nothing is to be shown but moments.
type quietDaemon struct{}

func (quietDaemon) Config() *config.Config {
	return &config.Config{Programme: playlist.Programme{Site: playlist.Site{Zone: time.UTC}}}
}
func (quietDaemon) Store() *data.Store         { return nil }
func (quietDaemon) Now() time.Time             { return time.Now() }
func (quietDaemon) Trust() playlist.ClockState { return playlist.ClockTrusted }

func TestABacklogIsToldOfInOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		a := &app{App: cli.New("dalaba", []string{"--lang=en"}, strings.NewReader(""), &out, &out)}
		s := newShow(a, 0)
		s.daemon, s.began = quietDaemon{}, time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.run(ctx)
		}()
		start := time.Now()
		for i := range 5000 { // more than the channel holds
			s.watch(missedAt("east", start.Add(-time.Duration(5000-i)*time.Minute)))
			s.watch(missedAt("west", start.Add(-time.Duration(5000-i)*time.Minute)))
		}
		time.Sleep(10 * time.Second)
		// What is missed from now on has a line of its own, and so has a single
		// one from before.
		s.watch(missedAt("east", time.Now()))
		time.Sleep(time.Second)
		s.watch(missedAt("west", start.Add(-time.Minute)))
		time.Sleep(10 * time.Second)
		cancel()
		<-done
		want := []string{"10000 airings of the past, counted on each output, were missed (1999-12-28 12:40:00 to 1999-12-31 23:59:00)", "east  ✗ often", "west  ✗ often"}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%d lines: %.2000s", len(lines), out.String())
		}
		for i, l := range lines {
			if !strings.Contains(l, want[i]) {
				t.Errorf("line %d: %q, want %q", i+1, l, want[i])
			}
		}
	})
}

func TestADemoTouchesNoFolderOfAnother(t *testing.T) {
	for _, c := range []struct{ name, file string }{
		{"a site's config", "dalaba.toml"},
		{"a store without a config beside it", "data/dalaba.db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, c.file)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("[site]\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"--lang=en", "demo", "--dir", dir, "--for", "1s"}, strings.NewReader(""), &out, &errs); code != cli.ExitRefused {
				t.Errorf("exit %d: %s", code, errs.String())
			}
			if text, err := os.ReadFile(file); err != nil || string(text) != "[site]\n" {
				t.Errorf("%s: %q, %v", c.file, text, err)
			}
		})
	}
}
