package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/cmd/cli"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// onScreen is what a terminal of so many columns shows of what was written to it.
func onScreen(written string, columns int) string {
	lines, row := []string{""}, 0
	for written != "" {
		var up int
		switch {
		case written[0] == '\n':
			written = written[1:]
			if row++; row == len(lines) {
				lines = append(lines, "")
			}
		case strings.HasPrefix(written, "\x1b[J"):
			written = written[len("\x1b[J"):]
			lines = append(lines[:row], "")
		case strings.HasPrefix(written, "\x1b["):
			n, _ := fmt.Sscanf(written, "\x1b[%dA", &up)
			if n != 1 || up > row {
				return "cannot go up: " + written
			}
			row -= up
			written = written[strings.IndexByte(written, 'A')+1:]
		default:
			if len(lines[row]) == columns { // it wraps
				row, lines = row+1, append(lines, "")
			}
			lines[row] += written[:1]
			written = written[1:]
		}
	}
	return strings.Join(lines, "\n")
}

func TestALogLineStandsAboveTheBars(t *testing.T) {
	for _, columns := range []int{80, 40} {
		var out bytes.Buffer
		b := &bars{out: &out}
		log := slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		b.draw("east ###--- 0:03/0:06", "west #----- 0:01/0:06")
		log.Info("disk nearly full", "path", "/a/long/path/that/is/wider/than/forty/columns")
		b.draw("east ####-- 0:04/0:06", "west ##---- 0:02/0:06")
		b.above(func() { fmt.Fprintln(&out, "east: over") }, []string{"west ###--- 0:03/0:06"})
		log.Warn("away")
		b.draw()
		log.Warn("last")
		var want string
		for _, l := range []string{`level=INFO msg="disk nearly full" path=/a/long/path/that/is/wider/than/forty/columns`, "east: over", "level=WARN msg=away", "level=WARN msg=last", ""} {
			for len(l) > columns {
				want, l = want+l[:columns]+"\n", l[columns:]
			}
			want += l + "\n"
		}
		if got := onScreen(out.String(), columns) + "\n"; got != want {
			t.Errorf("%d columns:\n%s\nwant\n%s", columns, got, want)
		}
	}
}

// What the screen says of a part is what the as-run log says: the same seconds, and the
// same figures.
func TestAPartIsShownAsTheAsRunLogHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		a := &app{App: cli.New("dalaba", []string{"--lang=zh"}, strings.NewReader(""), &out, &out)}
		s := newShow(a, 0)
		s.daemon, s.began = quietDaemon{}, time.Now()
		at := time.Date(2026, 11, 28, 7, 30, 4, 900_000_000, time.UTC)
		r := asrun.Row{
			Output: "村口", Clip: "c", Title: "丙课", Issue: 4, Item: 1, Part: 2, Started: at,
			FromFrame: 39 * playlist.Rate / 10, OfFrames: 12 * playlist.Rate,
		}
		s.moment(t.Context(), player.Moment{Kind: player.MomentStarted, Row: r})
		r.Frames, r.Ended, r.Outcome = 81*playlist.Rate/10, at.Add(8100*time.Millisecond), asrun.Complete
		s.moment(t.Context(), player.Moment{Kind: player.MomentEnded, Row: r})
		want := "07:30:04  村口  ▶ 第4期 丙课  接着播（从 0:04 处）\n07:30:13  村口  ✓ 第4期 丙课  完整  0:08/0:12（从 0:04 处接着播）\n"
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
}
