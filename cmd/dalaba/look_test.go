package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/cmd/cli"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/controller/status"
	"dalaba/data"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
)

var update = flag.Bool("update", false, "write the golden files anew")

const lookConfig = `
[site]
name = "大坝村"
area = "341523100201"
data_dir = "data"
clock = "battery"

[[output]]
name = "村口"
device = "null:"
residents = 420

[[output]]
name = "West"
device = "null:"
residents = 260

[[quiet]]
from = "12:30"
to = "14:00"

[[playlist]]
name = "健康"
title = "健康微课堂"
series = "健康微课堂"

[[slot]]
name = "早间"
playlist = "健康"
cron = "30 7 * * *"
count = 2

[[slot]]
name = "上午"
playlist = "健康"
cron = "0 10 * * *"
outputs = ["村口"]
days = ["周一", "周二"]

[[slot]]
name = "午间"
playlist = "健康"
cron = "45 12 * * *"
outputs = ["West"]

[[slot]]
name = "傍晚"
playlist = "健康"
cron = "0 18 * * *"
priority = 3

[[slot]]
name = "要闻"
playlist = "健康"
cron = "30 0 18 * * *"
outputs = ["村口"]
priority = 9

[[slot]]
name = "夜间"
playlist = "健康"
cron = "0 20 * * *"
except = [2026-11-22]
`

// village is a controller at noon of Monday, 23 November 2026, with a history.
type village struct {
	t     *testing.T
	dir   string
	store *data.Store
	now   time.Time
	clips []playlist.Clip
}

func (v *village) at(s string) time.Time {
	v.t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		v.t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04:05", s, zone)
	if err != nil {
		v.t.Fatal(err)
	}
	return at.UTC()
}

func (v *village) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// inVillage runs f in a bubble in which it is noon.
func inVillage(t *testing.T, f func(*village)) {
	synctest.Test(t, func(t *testing.T) {
		v := &village{t: t, dir: t.TempDir()}
		v.now = v.at("2026-11-23 12:00:00")
		time.Sleep(time.Until(v.now))
		v.must(os.WriteFile(filepath.Join(v.dir, "dalaba.toml"), []byte(lookConfig), 0o600))
		f(v)
	})
}

func (v *village) open() {
	v.t.Helper()
	store, err := data.Open(v.t.Context(), filepath.Join(v.dir, "data"), data.Options{
		Log: slog.New(slog.DiscardHandler), Boot: "b0", Mono: func() time.Duration { return time.Hour },
	})
	v.must(err)
	v.store = store
}

func (v *village) clip(issue int, title string, seconds int64) {
	v.t.Helper()
	content := fmt.Sprint("clip ", issue)
	hash := sha256.Sum256([]byte(content))
	c := playlist.Clip{
		ID: playlist.ClipID(hex.EncodeToString(hash[:])), Title: title, Series: "健康微课堂", Issue: issue,
		Frames: seconds * playlist.Rate, Size: int64(len(content)),
	}
	v.must(v.store.AddClip(v.t.Context(), c, strings.NewReader(content)))
	v.clips = append(v.clips, c)
}

func (v *village) row(slot, due, output string, item, part, clip int) asrun.Row {
	at := v.at(due)
	r := asrun.Row{
		Airing: playlist.NewAiringID(slot, at), Output: output, Item: item, Part: part, Slot: slot, Playlist: "健康", Rank: 105,
		Due: at, Residents: map[string]int{"村口": 420, "West": 260}[output], Area: "341523100201",
		Clock: playlist.ClockTrusted, Boot: "b0",
	}
	if clip > 0 {
		c := v.clips[clip-1]
		r.Clip, r.Title, r.Series, r.Issue, r.OfFrames, r.Cued = c.ID, c.Title, c.Series, c.Issue, c.Frames, at.Add(-2*time.Second)
	}
	return r
}

// airs claims a row and leaves it open.
func (v *village) airs(r asrun.Row, started string) {
	v.t.Helper()
	cursor, err := v.store.Cursor(v.t.Context(), r.Playlist)
	v.must(err)
	claim := asrun.Claim{Row: r}
	rows, err := v.store.Rows(v.t.Context(), r.Airing)
	v.must(err)
	fresh := true
	for _, o := range rows {
		fresh = fresh && o.Item != r.Item
	}
	if fresh {
		after := playlist.Cursor{Index: r.Issue - 1, Last: r.Clip}
		claim.Before, claim.After = &cursor, &after
	}
	v.must(v.store.Claim(v.t.Context(), claim))
	if started != "" {
		v.must(v.store.Checkpoint(v.t.Context(), r.Key(), v.at(started), 0, playlist.Rate))
	}
}

func (v *village) aired(r asrun.Row, started string, seconds int64, o asrun.Outcome, why asrun.Reason) {
	v.t.Helper()
	v.airs(r, "")
	at := v.at(started)
	v.must(v.store.End(v.t.Context(), r.Key(), asrun.End{
		Started: at, Ended: at.Add(time.Duration(seconds) * time.Second), Frames: seconds * playlist.Rate, Outcome: o, Reason: why,
	}))
}

func (v *village) silent(r asrun.Row, o asrun.Outcome, why asrun.Reason) {
	v.t.Helper()
	r.Outcome, r.Reason, r.Ended = o, why, r.Due.Add(2*time.Minute)
	v.must(v.store.Record(v.t.Context(), r))
}

// history is a day and a half: of everything something.
func (v *village) history() {
	v.t.Helper()
	v.open()
	v.clip(1, "发烧了怎么办", 61)
	v.clip(2, "体温怎么量", 58)
	v.clip(3, "Oxygen at home", 70)
	v.must(os.Remove(v.store.ClipPath(v.clips[2].ID)))
	const day = "2026-11-22 "
	v.aired(v.row("早间", day+"07:30:00", "村口", 1, 1, 1), day+"07:30:00", 61, asrun.Complete, "")
	v.aired(v.row("早间", day+"07:30:00", "West", 1, 1, 1), day+"07:30:00", 30, asrun.Partial, asrun.ReasonDevice)
	v.aired(v.row("早间", day+"07:30:00", "村口", 2, 1, 2), day+"07:31:01", 58, asrun.Complete, "")
	v.silent(v.row("早间", day+"07:30:00", "West", 2, 0, 0), asrun.Missed, asrun.ReasonDevice)
	v.silent(v.row("午间", day+"12:45:00", "West", 1, 0, 0), asrun.Suppressed, asrun.ReasonQuiet)
	first := v.row("傍晚", day+"18:00:00", "村口", 1, 1, 3)
	v.aired(first, day+"18:00:00", 30, asrun.Preempted, asrun.ReasonPreempted)
	news := v.row("要闻", day+"18:00:30", "村口", 1, 1, 1)
	news.Rank = 109
	v.aired(news, day+"18:00:30", 61, asrun.Complete, "")
	first.Part, first.FromFrame = 2, 30*playlist.Rate
	v.aired(first, day+"18:01:31", 40, asrun.Complete, "")
	v.aired(v.row("傍晚", day+"18:00:00", "West", 1, 1, 3), day+"18:01:10", 70, asrun.Complete, asrun.ReasonLate)
	const today = "2026-11-23 "
	v.aired(v.row("早间", today+"07:30:00", "村口", 1, 1, 2), today+"07:30:00", 58, asrun.Complete, "")
	v.aired(v.row("早间", today+"07:30:00", "West", 1, 1, 2), today+"07:30:00", 58, asrun.Complete, "")
	v.silent(v.row("早间", today+"07:30:00", "村口", 2, 0, 0), asrun.Failed, asrun.ReasonClip)
	v.silent(v.row("早间", today+"07:30:00", "West", 2, 0, 0), asrun.Failed, asrun.ReasonClip)
	v.airs(v.row("加播", today+"11:59:40", "村口", 1, 1, 1), today+"11:59:40")

	v.must(v.store.SetClock(v.t.Context(), playlist.ClockTrusted))
	v.must(v.store.SetStarted(v.t.Context(), v.at(today+"06:00:00")))
	v.must(v.store.SetConfigRead(v.t.Context(), v.at(today+"08:00:00")))
	log := slog.New(v.store.LogHandler(nil))
	time.Sleep(time.Until(v.at("2026-11-23 12:00:01")))
	yesterday := slog.NewRecord(v.at("2026-11-22 23:59:50"), slog.LevelInfo, "link is up", 0)
	v.must(log.Handler().Handle(v.t.Context(), yesterday))
	log.Info("started", "pid", 4321, "config", "/etc/dalaba/dalaba.toml", "outputs", 2, "slots", 6, "cut_off", 0)
	log.Info("output opened", "output", "村口", "device", "null:", "away_ms", 3)
	log.Error("output does not open", "output", "West", "device", "null:", "err", fmt.Errorf("no such device"))
	log.Warn("clip ended", "output", "West", "clip", string(v.clips[0].ID), "outcome", asrun.Partial, "reason", asrun.ReasonDevice, "frames", 1440000)
	log.Info("clip on air", "airing", playlist.NewAiringID("早间", v.at("2026-11-23 07:30:00")), "slot", "早间", "output", "村口",
		"lateness_ms", 12345, "clip", v.clips[0].ID, "title", v.clips[0].Title, "issue", v.clips[0].Issue)
	log.Error("alert not stored", "alert", playlist.AlertID("a,1,b"), "err", fmt.Errorf("store: %w", say.M("view.no_clip")))
	log.Warn("disk nearly full", "free", 31<<20, "freed", 0)
	log.Error("clock is behind what was recorded", "floor", v.at("2026-11-24 08:00:00"), "behind_s", 72000)
	log.Error("config refused, the old one stays in force", "config", "/etc/dalaba/dalaba.toml", "sha256", "ab", "why", "第一处\n第二处")
	log.Info("a line\x1b[2J from\nelsewhere", "title", "体温\x07怎么量")
	v.must(v.store.Close())
	time.Sleep(time.Until(v.at("2026-11-23 12:00:10")))
}

// dalaba runs the program in the village.
func (v *village) dalaba(args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(v.t.Context(), append([]string{"-c", filepath.Join(v.dir, "dalaba.toml")}, args...), nil, &o, &e)
	return code, o.String(), e.String()
}

// answers has a daemon of the village tell its status, of which West's device is
// away, until end is called. Meanwhile no time passes.
func (v *village) answers() (end func()) {
	v.t.Helper()
	s, err := (&app{App: cli.New("dalaba", nil, nil, io.Discard, io.Discard), config: cli.Config{Path: filepath.Join(v.dir, "dalaba.toml")}}).look(v.t.Context())
	v.must(err)
	server := &control.Server{Daemon: teller{v: v, site: s}, Dir: filepath.Join(v.dir, "data"), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(v.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	for err = errors.New("not asked"); err != nil; {
		_, err = control.Ask(ctx, filepath.Join(v.dir, "data"), say.English)
	}
	return func() {
		cancel()
		v.must(errors.Join(<-ended, s.Close()))
	}
}

// teller is a daemon that tells how it is, and no more.
type teller struct {
	control.Daemon
	v    *village
	site *site.Site
}

func (t teller) Status(ctx context.Context, lang say.Lang) (status.Status, error) {
	return status.Of(ctx, t.site, filepath.Join(t.v.dir, "dalaba.toml"), time.Now(), true, &status.Live{
		PID: 4321, Clock: playlist.ClockTrusted, Lang: lang, State: t.State(ctx), Channel: func(output string) (player.ChannelState, bool) {
			at := t.v.at("2026-11-23 12:00:01")
			if output == "West" {
				return player.ChannelState{Since: at, Err: fmt.Errorf("no such device")}, true
			}
			return player.ChannelState{Up: true, Since: at}, true
		},
	})
}

func (t teller) State(context.Context) schedule.State {
	now := time.Now()
	return schedule.State{At: now, Asked: now}
}

// unstable is what differs from one run of the tests to the next.
var unstable = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(进程|process) \d+`), "$1 PID"},
	{regexp.MustCompile(`"pid":\d+`), `"pid":0`},
	{regexp.MustCompile(`[0-9.]+ (KiB|MiB|GiB)`), "SIZE"},
	{regexp.MustCompile(`"(size|free|schema)":\d+`), `"$1":0`},
	{regexp.MustCompile(`"ballast":(true|false)`), `"ballast":false`},
	{regexp.MustCompile(`"epoch":"[0-9a-f]+"`), `"epoch":"E"`},
}

func (v *village) stable(s string) string {
	s = strings.ReplaceAll(s, v.dir, "DIR")
	for _, u := range unstable {
		s = u.re.ReplaceAllString(s, u.with)
	}
	return s
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "look", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is now\n%s\nand was\n%s", name, got, want)
	}
}

// 村口 has 400 residents for five airings and 300 for five more, today's config says 420.
func TestReachTellsThatResidentsChanged(t *testing.T) {
	inVillage(t, func(v *village) {
		v.open()
		v.clip(1, "发烧了怎么办", 61)
		for hour := range 10 {
			due := fmt.Sprintf("2026-11-22 %02d:15:00", 7+hour)
			r := v.row("加播", due, "村口", 1, 1, 1)
			r.Residents = 400 - hour/5*100
			v.aired(r, due, 61, asrun.Complete, "")
		}
		v.must(v.store.Close())
		for form, extra := range map[string][]string{"zh": {"--lang", "zh-CN"}, "en": {"--lang", "en"}, "json": {"--json"}} {
			code, out, errOut := v.dalaba(append([]string{"reach", "--since", "2026-11-22"}, extra...)...)
			if code != 0 || errOut != "" {
				t.Errorf("%s: exit %d, %s", form, code, errOut)
			}
			golden(t, "reach-changed."+form, out)
		}
		if _, out, errOut := v.dalaba("reach", "--csv", "--lang", "en"); !strings.Contains(errOut, "400  2026-11-22 07:15") || strings.Contains(out, "07:15") {
			t.Errorf("beside the CSV it says %q", errOut)
		}
	})
}

func TestTheVerbsThatLook(t *testing.T) {
	t.Setenv("LC_ALL", "")
	t.Setenv("LC_MESSAGES", "")
	t.Setenv("LANG", "")
	inVillage(t, func(v *village) {
		v.history()
		held, err := data.Lock(filepath.Join(v.dir, "data"))
		v.must(err)
		end := v.answers()
		for name, args := range map[string][]string{
			"status":      {"status"},
			"plan":        {"plan", "--days", "2"},
			"why-part":    {"why", "昨天 18:00:10"},
			"why-missed":  {"why", "2026-11-22 12:45"},
			"why-unknown": {"why", "10:00"},
			"why-day":     {"why", "2026-11-25", "10:00"},
			"why-nothing": {"why", "yesterday 09:00"},
			"why-now":     {"why", "now"},
			"why-future":  {"why", "2026-11-24T07:30"},
			"asrun":       {"asrun"},
			"asrun-all":   {"asrun", "--since", "7d"},
			"asrun-slot":  {"asrun", "--since", "yesterday", "--until", "昨天", "--slot", "傍晚", "--output", "村口"},
			"reach":       {"reach"},
			"reach-day":   {"reach", "--by", "day"},
			"reach-out":   {"reach", "--by", "output", "--since", "today"},
			"reach-slot":  {"reach", "--by", "slot"},
			"log":         {"log"},
			"log-warn":    {"log", "--level", "warn", "-n", "1"},
			"log-all":     {"log", "--verbose"},
		} {
			for form, extra := range map[string][]string{"zh": {"--lang", "zh-CN"}, "en": {"--lang", "en"}, "json": {"--lang", "en", "--json"}} {
				code, out, errOut := v.dalaba(append(args, extra...)...)
				if code != 0 || errOut != "" {
					t.Errorf("%s %s: exit %d, %s", name, form, code, errOut)
				}
				if form == "json" && !strings.HasPrefix(name, "log") && !json.Valid([]byte(out)) {
					t.Errorf("%s: no JSON: %s", name, out)
				}
				golden(t, name+"."+form, v.stable(out))
			}
		}
		end()
		v.must(held.Release())
		for form, lang := range map[string]string{"zh": "zh-CN", "en": "en"} {
			_, out, _ := v.dalaba("status", "--lang", lang)
			golden(t, "status-off."+form, v.stable(out))
		}
		for name, args := range map[string][]string{
			"asrun.csv.zh":  {"asrun", "--since", "7d", "--csv", "--lang", "zh-CN"},
			"asrun.csv.en":  {"asrun", "--since", "7d", "--csv", "--lang", "en"},
			"asrun-raw.csv": {"asrun", "--since", "7d", "--csv=raw"},
			"reach.csv.zh":  {"reach", "--csv", "--lang", "zh-CN"},
			"reach.csv.en":  {"reach", "--by", "day", "--csv", "--lang", "en"},
			"reach-raw.csv": {"reach", "--by", "series", "--csv=raw"},
		} {
			_, out, _ := v.dalaba(args...)
			if !strings.HasPrefix(out, "\ufeff") {
				t.Errorf("%s has no byte order mark", name)
			}
			r := csv.NewReader(strings.NewReader(strings.TrimPrefix(out, "\ufeff")))
			if rows, err := r.ReadAll(); err != nil || len(rows) < 2 {
				t.Errorf("%s: %d rows, %v", name, len(rows), err)
			}
			golden(t, name, out)
		}
	})
}

// The config no longer has the slot 加播, and never had the output.
func TestNamesThatOnlyTheLogHasAreNames(t *testing.T) {
	inVillage(t, func(v *village) {
		v.history()
		v.open()
		r := v.row("加播", "2026-11-23 10:30:00", "拆掉的", 1, 1, 1)
		v.aired(r, "2026-11-23 10:30:00", 61, asrun.Complete, "")
		v.must(v.store.Close())
		for _, c := range []struct {
			flag, name string
			code       int
		}{
			{"--slot", "加播", cli.ExitOK},
			{"--slot", "加波", cli.ExitRefused},
			{"--output", "拆掉的", cli.ExitOK},
			{"--output", "拆掉", cli.ExitRefused},
		} {
			code, out, errOut := v.dalaba("asrun", c.flag, c.name, "--lang", "en")
			if code != c.code || code == cli.ExitOK && !strings.Contains(out, "10:30:00") {
				t.Errorf("%s %s: exit %d\n%s%s", c.flag, c.name, code, out, errOut)
			}
		}
	})
}

func TestLookingWhereNothingIs(t *testing.T) {
	inVillage(t, func(v *village) {
		for _, verb := range []string{"status", "plan"} {
			if code, out, errOut := v.dalaba(verb, "--lang", "en"); code != cli.ExitRefused || !strings.Contains(errOut, "holds no library yet, so no series is found") {
				t.Errorf("%s without clips: exit %d\n%s%s", verb, code, out, errOut)
			}
		}
		v.open()
		v.clip(1, "发烧了怎么办", 61)
		v.must(v.store.Close())
		for _, c := range []struct {
			name string
			args []string
			code int
			says string
		}{
			{"status", []string{"status"}, cli.ExitOK, "it has never run"},
			{"status, JSON", []string{"status", "--json"}, cli.ExitOK, `"clock":"unknown"`},
			{"asrun", []string{"asrun"}, cli.ExitOK, "Nothing of the kind is recorded since 11-23 00:00:00"},
			{"asrun of no slot", []string{"asrun", "--until", "yesterday"}, cli.ExitOK, "Nothing of the kind is recorded."},
			{"asrun, JSON", []string{"asrun", "--json"}, cli.ExitOK, "[]\n"},
			{"reach", []string{"reach"}, cli.ExitOK, "Nothing is recorded of that time"},
			{"reach, JSON", []string{"reach", "--json"}, cli.ExitOK, `"lines":[]`},
			{"log", []string{"log"}, cli.ExitOK, "The log holds nothing"},
			{"log, JSON", []string{"log", "--json"}, cli.ExitOK, ""},
			{"why without a time", []string{"why"}, cli.ExitRefused, "at what time?"},
			{"why of a whole day", []string{"why", "2026-11-23"}, cli.ExitRefused, "at what time?"},
			{"why of no time", []string{"why", "soon"}, cli.ExitRefused, `no time: "soon"`},
			{"a period that runs backwards", []string{"asrun", "--since", "today", "--until", "2026-11-20"}, cli.ExitRefused, "is not before"},
			{"no output", []string{"asrun", "--output", "North"}, cli.ExitRefused, `there is no output "North"; there are: 村口, West`},
			{"an output that is nearly one", []string{"asrun", "--output", "west"}, cli.ExitRefused, `no output "west"; did you mean "West"?`},
			{"a slot that is nearly one", []string{"asrun", "--slot", "早晨", "--json"}, cli.ExitRefused, `no slot "早晨"; did you mean "早间"? There are: 早间, 上午, `},
			{"a slot of the config", []string{"asrun", "--slot", "早间"}, cli.ExitOK, "Nothing of the kind"},
			{"no grouping", []string{"reach", "--by", "week"}, cli.ExitRefused, `no grouping "week"`},
			{"no level", []string{"log", "--level", "loud"}, cli.ExitRefused, `no level "loud"`},
			{"no days", []string{"plan", "--days", "0"}, cli.ExitRefused, "--days must be from 1 to 366"},
			{"two forms at once", []string{"asrun", "--json", "--csv"}, cli.ExitRefused, "choose one"},
			{"no form of CSV", []string{"asrun", "--csv=xls"}, cli.ExitRefused, "there is no --csv=xls; say --csv, for a spreadsheet, or --csv=raw, for programs"},
			{"no form of CSV, reach", []string{"reach", "--csv="}, cli.ExitRefused, "or --csv=raw"},
			{"a plan from no time", []string{"plan", "--since", "32:00"}, cli.ExitRefused, "no time"},
		} {
			code, out, errOut := v.dalaba(append(c.args, "--lang", "en")...)
			if code != c.code || !strings.Contains(out+errOut, c.says) {
				t.Errorf("%s: exit %d\n%s%s", c.name, code, out, errOut)
			}
		}
	})
}

func TestTheLogIsFollowed(t *testing.T) {
	inVillage(t, func(v *village) {
		v.open()
		v.clip(1, "发烧了怎么办", 61)
		log := slog.New(v.store.LogHandler(nil))
		ctx, cancel := context.WithCancel(v.t.Context())
		var out bytes.Buffer
		done := make(chan int)
		go func() {
			done <- run(ctx, []string{"log", "-f", "--lang", "en", "-c", filepath.Join(v.dir, "dalaba.toml")}, nil, &out, &out)
		}()
		time.Sleep(time.Second)
		log.Warn("underrun", "count", 3)
		time.Sleep(time.Second)
		log.Info("stopped")
		time.Sleep(5 * time.Second)
		cancel()
		if code := <-done; code != cli.ExitOK {
			t.Errorf("exit %d", code)
		}
		v.must(v.store.Close())
		if got := out.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, "warning  sound interrupted (3 in all)") || !strings.Contains(got, "stopped") {
			t.Errorf("followed:\n%s", got)
		}
	})
}
