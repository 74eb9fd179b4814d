package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/sys/unix"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// longNames makes the names of a village long, and its figures large.
var longNames = strings.NewReplacer(
	`"村口"`, `"村东头老槐树下的大喇叭甲"`, `"West"`, `"West-end-beside-the-old-well"`, `title = "健康微课堂"`, `title = "农村居民健康微课堂第三季之家庭护理篇"`,
	`"傍晚"`, `"傍晚的健康知识广播时间"`, "residents = 420", "residents = 123456", "residents = 260", "residents = 234567",
)

const (
	longTitle  = "老年人在家里突然发烧了应该怎么办以及什么时候必须马上去医院看医生"
	longOutput = "村东头老槐树下的大喇叭甲"
	longSlot   = "傍晚的健康知识广播时间"
)

// widest measures text in the font in which it is widest.
var widest = &runewidth.Condition{EastAsianWidth: true}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// onTerminal runs the program on a terminal and returns the lines that it wrote, without
// colours.
func (v *village) onTerminal(columns uint16, args ...string) []string {
	v.t.Helper()
	reader, screen := terminal(v.t)
	v.must(unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	wrote := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(reader) // ends with an error once the screen is closed
		wrote <- b
	}()
	run(v.t.Context(), append([]string{"-c", filepath.Join(v.dir, "dalaba.toml")}, args...), screen, screen, screen)
	v.must(screen.Close())
	text := string(<-wrote)
	v.must(reader.Close())
	return strings.Split(strings.TrimRight(strings.ReplaceAll(escapes.ReplaceAllString(text, ""), "\r\n", "\n"), "\n"), "\n")
}

// longHistory is a day in which all names are long.
func (v *village) longHistory() {
	v.t.Helper()
	v.must(os.WriteFile(filepath.Join(v.dir, "dalaba.toml"), []byte(longNames.Replace(lookConfig)), 0o600))
	v.open()
	for i := 1; i <= 3; i++ {
		v.clip(i, longTitle, 1801)
	}
	const day = "2026-11-23 "
	long := func(slot, due string, clip int) asrun.Row {
		r := v.row(slot, day+due, "村口", 1, 1, clip)
		r.Output, r.Residents = longOutput, 123456
		return r
	}
	v.aired(long("早间", "07:30:00", 1), day+"07:30:00", 1801, asrun.Complete, "")
	v.aired(long(longSlot, "08:00:30", 2), day+"08:00:30", 1234, asrun.Partial, asrun.ReasonDevice)
	silent := long("午间", "09:00:00", 0)
	silent.Part = 0
	v.silent(silent, asrun.Failed, asrun.ReasonClip)
	v.airs(long("加播", "11:59:40", 3), day+"11:59:40")
	v.must(v.store.SetClock(v.t.Context(), playlist.ClockTrusted))
	v.must(v.store.SetStarted(v.t.Context(), v.at(day+"06:00:00")))
	at := v.at(day + "11:00:00")
	r := emergency.Record{Source: playlist.AlertByHand, Received: at, State: emergency.StateRefused, Reason: emergency.ReasonDrill, Alert: emergency.Alert{
		ID: "flood@emergency-bureau.example.cn,34152300000020261123110000", Format: "CAP 1.2", Identifier: "x", Sender: "flood@example.cn",
		Sent: at, Kind: emergency.KindUpdate, Class: emergency.ClassDrillActual, Level: emergency.Red, NotAfter: at.Add(3 * time.Hour),
		Signature: emergency.Signature{State: emergency.SignatureAbsent}, Texts: []emergency.Text{{Language: "zh-CN", Title: longTitle, Text: longTitle}},
	}}
	v.must(v.store.SaveAlerts(v.t.Context(), emergency.Change{Records: []emergency.Record{r}}, nil))
	v.must(v.store.Close())
}

// Nothing that a verb shows is wider than the terminal, however long names are, and what
// matters most is whole.
func TestWhatAVerbShowsFitsTheTerminal(t *testing.T) {
	t.Setenv("LC_ALL", "")
	t.Setenv("LC_MESSAGES", "")
	for _, c := range []struct {
		args  []string
		whole []string // what is not cut or folded at 80 columns
	}{
		{[]string{"status"}, []string{"11-23 12:45:00", "0:20", "30:01"}},
		{[]string{"plan", "--days", "2"}, []string{"11-24 07:30:00", "18:00:00"}},
		{[]string{"asrun"}, []string{"11-23 07:30:00", "30:01/30:01", "20:34/30:01"}},
		{[]string{"reach"}, []string{"1/4 25%", "123456/123456 100%"}},
		{[]string{"reach", "--by", "output"}, []string{"1/4 25%", "123456/123456 100%"}},
		{[]string{"reach", "--by", "slot"}, []string{"123456/123456 100%", "--csv"}},
		{[]string{"clips"}, []string{"95f954095368", "老年人在家里", "农村居民健康微课堂第三季之家庭护理篇"}},
		{[]string{"alert"}, []string{"flood@emergency-bureau.example.cn,34152300000020261123110000", "11-23 11:00:00"}},
		{[]string{"why", "08:00:40"}, nil},
		{[]string{"devices"}, nil},
		{[]string{"doctor"}, nil},
	} {
		for _, locale := range []string{"zh_CN.UTF-8", "en_US.UTF-8", "C"} {
			for _, columns := range []uint16{80, 40} {
				t.Run(strings.Join(c.args, " ")+" "+locale, func(t *testing.T) {
					t.Setenv("LANG", locale)
					inVillage(t, func(v *village) {
						v.longHistory()
						held, err := data.Lock(filepath.Join(v.dir, "data"))
						v.must(err)
						end := v.answers()
						lines := v.onTerminal(columns, c.args...)
						end()
						v.must(held.Release())
						all := strings.Join(lines, "\n")
						for _, l := range lines {
							if w := widest.StringWidth(l); w > int(columns) {
								t.Errorf("%d columns: %q", w, l)
							}
						}
						for _, whole := range c.whole {
							if columns == 80 && !strings.Contains(all, whole) {
								t.Errorf("%q is not whole", whole)
							}
						}
						if t.Failed() {
							t.Log(all)
						}
					})
				})
			}
		}
	}
}

// The help of each verb fits a terminal of 80 columns, and what goes elsewhere is folded
// as for one. Commands to copy are not folded.
func TestHelpFitsTheTerminal(t *testing.T) {
	for _, lang := range []string{"zh-CN", "en"} {
		a := &app{App: cli.New("dalaba", []string{"--lang", lang}, nil, io.Discard, io.Discard)}
		for _, c := range append(a.root().Commands(), a.root()) {
			var out strings.Builder
			args := []string{c.Name(), "--help", "--lang", lang}
			if c.Name() == "dalaba" {
				args = args[1:]
			}
			if code := run(t.Context(), args, nil, &out, &out); code != cli.ExitOK {
				t.Errorf("%v: exit %d", args, code)
			}
			for line := range strings.Lines(out.String()) {
				if w := widest.StringWidth(strings.TrimRight(line, "\n")); w > 80 {
					t.Errorf("%v: %d columns: %q", args, w, line)
				}
			}
		}
	}
}
