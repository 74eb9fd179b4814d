package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"golang.org/x/sys/unix"

	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// shelf is a library of three clips of one series and a few files.
type shelf struct{}

var errBroken = errors.New("bad.mp3: no MP3")

// stereo is why a file cannot air that an import converts.
type stereo struct{}

func (stereo) Error() string     { return "立体声" }
func (stereo) Convertible() bool { return true }

func id(c string) playlist.ClipID { return playlist.ClipID(strings.Repeat(c, 64)) }

func clip(n int) playlist.Clip {
	return playlist.Clip{ID: id(string('a' + rune(n-1))), Title: "第几期", Series: "健康微课堂", Issue: n, Frames: 480000}
}

func (shelf) Clip(want playlist.ClipID) (playlist.Clip, bool) {
	for n := range 3 {
		if c := clip(n + 1); c.ID == want {
			return c, true
		}
	}
	return playlist.Clip{}, false
}

func (shelf) Series(name string) []playlist.Clip {
	if name != "健康微课堂" {
		return nil
	}
	return []playlist.Clip{clip(1), clip(2), clip(3)}
}

func (shelf) Glob(pattern string) ([]playlist.Clip, error) {
	if _, err := filepath.Match(pattern, ""); err != nil {
		return nil, err
	}
	switch strings.TrimPrefix(pattern, "/etc/dalaba/") {
	case "clips/*.mp3":
		return []playlist.Clip{clip(3), clip(1)}, nil
	case "clips/1.mp3", "/srv/1.mp3":
		return []playlist.Clip{clip(1)}, nil
	case "stereo/*.mp3":
		return nil, errors.Join(say.M("cli.bad_clip", "a.mp3", stereo{}))
	case "bad/*.mp3":
		return nil, errors.Join(errBroken, say.M("outcome.failed"))
	}
	return nil, nil
}

func TestTheSampleConfigReadsWithoutAProblem(t *testing.T) {
	text, err := os.ReadFile("../../cmd/dalaba/dalaba.toml")
	if err != nil {
		t.Fatal(err)
	}
	c, problems := config.Read("/etc/dalaba/dalaba.toml", text, shelf{})
	for _, p := range problems {
		t.Error(p)
	}
	if c == nil {
		t.Fatal("no config")
	}
	if len(c.Slots) != 2 || len(c.Playlists[0].Clips) != 3 {
		t.Errorf("%d slots, clips %v", len(c.Slots), c.Playlists[0].Clips)
	}
	// What it shows in comments is right too.
	lines := strings.Split(string(text), "\n")
	for i, l := range lines {
		rest, ok := strings.CutPrefix(l, "# ")
		if strings.Contains(rest, `["anchors/`) {
			continue // there is no such file here
		}
		if slices.Contains([]string{"[calendar]", "[alert.generic]", "[microphone]", "[[local_hours]]", "[[exception]]"}, rest) || ok && strings.Contains(rest, " = ") && !strings.HasPrefix(rest, " ") && rest[0] >= 'a' && rest[0] <= 'z' || rest == "[amplifier]" {
			lines[i] = rest
		}
	}
	lib := dated{desk: true, lists: map[string]string{"/etc/dalaba/节假日2026.csv": "2026-10-01,休", "/etc/dalaba/节假日2027.csv": "2027-10-01,休"}}
	if c, problems = config.Read("/etc/dalaba/dalaba.toml", []byte(strings.Join(lines, "\n")), lib); len(problems) > 0 {
		t.Errorf("with its comments taken for keys: %v", problems)
	}
	if c != nil && (c.Amplifier.Relay == "" || c.Inbox == "" || c.Slots[0].From == "" || c.Quiet[0].Days == 0 || c.Calendar == nil) {
		t.Error("the commented keys were not taken")
	}
}

const whole = `
[site]
name = "大坝村"
area = "341523100201"
timezone = "America/New_York"
language = "en"
data_dir = "state"
clock = "battery"
inbox = "/srv/in"
ceiling_db = -3.5

[[output]]
name = "村口"
device = "wav:out/村口.wav"
area = "341523100000"
residents = 420
level_db = -12
extra_delay = "150ms"
idle = "close"

[[output]]
name = "east-2"
device = "null:"

[[quiet]]
from = "21:30"
to = "06:00"
days = ["周一", "星期二", "WED"]

[[quiet]]
from = 12:30:00
to = "14:00"

[[daypart]]
from = "06:00"
to = "07:00"
days = ["sat", "周日"]
level_db = +1.5

[[playlist]]
name = "健康"
title = "健康微课堂"
series = "健康微课堂"
order = "shuffle"

[[playlist]]
name = "杂锦"
clips = ["clips/*.mp3", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", "/srv/1.mp3"]

[[slot]]
name = "早间健康"
playlist = "健康"
cron = "30 7 * * *"
outputs = ["east-2"]
count = 0x10
from = 2026-03-01
to = "2026-11-30"
except = [2026-05-01, "2026-10-01"]
days = ["mon", "tue"]
priority = 9
window = "90s"
missed = "make-good"
until = "09:00"
after = "restart"
level_db = 6
chime = true
into_quiet = "shift"

[[slot]]
name = "晚"
playlist = "杂锦"
cron = "15 0 18 * * sun"

[ingest]
ffmpeg = "bin/ffmpeg"
speech = ["say", "-r", "{pace}"]
pace = 140
words = { "六安" = "陆安", "dB" = "分贝" }
ffprobe = "ffprobe6"
timeout = "1m30s"

[amplifier]
relay = "serial:/dev/ttyUSB0"
warm_up = "1s"
hold = "1m"

[store]
backups = 3
days = 400

[alert]
drop = "alerts"
unsigned = ["hand", "drop"]
may_retire = ["yj.example.gov.cn", " 320900000000 "]
drills = true
life = "2h"
passes = 5
gap = "30s"
tone_min = "5s"
tone_max = "1m"
level_db = -1.5
position = [33.2, 120]
generic = { default = "generic/all.mp3", 11B01 = "/srv/flood.mp3" }

[microphone]
capture = ["arecord", "-t", "raw"]
trigger = "gpio:GPIO27"

[county]
wins = "local"
peers = ["http://192.168.1.20:8090/"]
serve = ":8090"

[[local_hours]]
from = "18:00"
to = "18:30"

[[exception]]
slot = "早间健康"
days = ["2026-12-01", 2026-12-02]

[[exception]]
slot = "noon"
from = 2026-12-01
at = ["09:30", "18:00"]
`

func TestEveryKeyOfAWholeConfigArrives(t *testing.T) {
	c, problems := config.Read("/etc/dalaba/dalaba.toml", []byte(whole), shelf{})
	if len(problems) > 0 || c == nil {
		t.Fatalf("problems: %v", problems)
	}
	specs := []string{c.Slots[0].Cron.String(), c.Slots[1].Cron.String()}
	if !slices.Equal(specs, []string{"30 7 * * *", "15 0 18 * * sun"}) {
		t.Errorf("cron specs %q", specs)
	}
	c.Slots[0].Cron, c.Slots[1].Cron = playlist.Cron{}, playlist.Cron{}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	if c.Site.Zone.String() != zone.String() {
		t.Errorf("zone %v", c.Site.Zone)
	}
	c.Site.Zone = zone
	want := &config.Config{
		Programme: playlist.Programme{
			Site: playlist.Site{Name: "大坝村", Area: "341523100201", Zone: zone, Language: "en", DataDir: "/etc/dalaba/state", Clock: playlist.ClockBattery, CeilingDB: -3.5},
			Outputs: []playlist.Output{
				{Name: "村口", Device: "wav:/etc/dalaba/out/村口.wav", Area: "341523100000", Residents: 420, LevelDB: -12, ExtraDelay: 150 * time.Millisecond, CloseIdle: true},
				{Name: "east-2", Device: "null:", Area: "341523100201"},
			},
			Quiet: []playlist.Quiet{
				{Span: playlist.Span{From: 21*60 + 30, To: 6 * 60, Days: 1<<time.Monday | 1<<time.Tuesday | 1<<time.Wednesday}},
				{Span: playlist.Span{From: 12*60 + 30, To: 14 * 60}},
			},
			Dayparts: []playlist.Daypart{
				{Span: playlist.Span{From: 6 * 60, To: 7 * 60, Days: 1<<time.Saturday | 1<<time.Sunday}, LevelDB: 1.5},
			},
			Playlists: []playlist.Playlist{
				{Name: "健康", Title: "健康微课堂", Clips: []playlist.ClipID{id("a"), id("b"), id("c")}, Order: playlist.Shuffle},
				{Name: "杂锦", Title: "杂锦", Clips: []playlist.ClipID{id("c"), id("a"), id("b")}, Order: playlist.Sequence},
			},
			Slots: []playlist.Slot{
				{
					Name: "早间健康", Playlist: "健康", Outputs: []string{"east-2"}, Count: 16, From: "2026-03-01", To: "2026-11-30",
					Except: []playlist.Date{"2026-05-01", "2026-10-01"}, Days: 1<<time.Monday | 1<<time.Tuesday, Priority: 9,
					Window: 90 * time.Second, Missed: playlist.MissedMakeGood, Until: 9 * 60, After: playlist.AfterRestart, LevelDB: 6, Chime: true, IntoQuiet: playlist.QuietShift,
				},
				{
					Name: "晚", Playlist: "杂锦", Outputs: []string{"村口", "east-2"}, Count: 1, Priority: 5,
					Window: 2 * time.Minute, Missed: playlist.MissedSkip, After: playlist.AfterRejoin, IntoQuiet: playlist.QuietCut,
				},
			},
			Alerts: playlist.AlertRules{
				Drills: true, Unsigned: []playlist.AlertSource{playlist.AlertByHand, playlist.AlertByDrop}, Life: 2 * time.Hour, Passes: 5,
				Retirers: []string{"yj.example.gov.cn", "320900000000"},
				Gap:      30 * time.Second, ToneMin: 5 * time.Second, ToneMax: time.Minute, LevelDB: -1.5, Place: &playlist.Place{Lat: 33.2, Lon: 120},
			},
			County: playlist.CountyRules{Wins: playlist.WinsLocal, Protected: []playlist.Span{{From: 18 * 60, To: 18*60 + 30}}, Exceptions: []playlist.Exception{
				{Slot: "早间健康", Days: []playlist.Date{"2026-12-01", "2026-12-02"}}, {Slot: "noon", From: "2026-12-01", At: []playlist.TimeOfDay{9*60 + 30, 18 * 60}},
			}},
		},
		Alert: config.Alert{
			Drop:    "/etc/dalaba/alerts",
			Generic: map[string]string{"default": "/etc/dalaba/generic/all.mp3", "11B01": "/srv/flood.mp3"},
		},
		Mic:    config.Mic{Capture: []string{"arecord", "-t", "raw"}, Trigger: "gpio:GPIO27"},
		Cache:  config.Cache{Peers: []string{"http://192.168.1.20:8090"}, Serve: ":8090"},
		Series: []string{"健康微课堂"}, Inbox: "/srv/in",
		Ingest:    config.Ingest{FFmpeg: "/etc/dalaba/bin/ffmpeg", FFprobe: "ffprobe6", Speech: []string{"say", "-r", "{pace}"}, Timeout: 90 * time.Second, Pace: 140, Words: map[string]string{"六安": "陆安", "dB": "分贝"}},
		Amplifier: config.Amplifier{Relay: "serial:/dev/ttyUSB0", WarmUp: time.Second, Hold: time.Minute},
		Store:     config.Store{Backups: 3, Days: 400},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

const small = `[site]
name = "大坝村"
area = "341523100201"
data_dir = "/var/lib/dalaba"
[[output]]
name = "村口"
`

func TestWhatAConfigLeavesOutTakesItsDefault(t *testing.T) {
	c, problems := config.Read("dalaba.toml", []byte(small), shelf{})
	if len(problems) > 0 || c == nil {
		t.Fatalf("problems: %v", problems)
	}
	if c.Site.Zone.String() != "Asia/Shanghai" {
		t.Errorf("zone %v", c.Site.Zone)
	}
	c.Site.Zone = nil
	want := &config.Config{
		Programme: playlist.Programme{
			Site:    playlist.Site{Name: "大坝村", Area: "341523100201", Language: "zh-CN", DataDir: "/var/lib/dalaba", Clock: playlist.ClockNTP},
			Outputs: []playlist.Output{{Name: "村口", Device: "auto", Area: "341523100201"}},
			Alerts:  playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}}.Filled(),
			County:  playlist.CountyRules{Wins: playlist.WinsPriority},
		},
		Ingest:    config.Ingest{Timeout: 15 * time.Minute, Pace: 160},
		Amplifier: config.Amplifier{WarmUp: 2 * time.Second, Hold: 5 * time.Second},
		Store:     config.Store{Backups: 7},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// today is a library that knows the day.
type today struct{ shelf }

func (today) Now() time.Time { return time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC) } // the 26th in Shanghai

func TestASlotWhoseDaysAreOverIsWarnedOf(t *testing.T) {
	for to, over := range map[string]bool{"2026-11-24": true, "2026-11-25": true, "2026-11-26": false, "2030-01-01": false} {
		text := good + "[[slot]]\nname = \"早间\"\nplaylist = \"健康\"\ncron = \"30 7 * * *\"\nto = \"" + to + "\"\n"
		c, problems := config.Read("dalaba.toml", []byte(text), today{})
		if c == nil || (len(problems) > 0) != over {
			t.Errorf("%s: %v", to, problems)
		}
		if over && problems[0].Error() != "dalaba.toml:14: slot[1].to: (warning) its last day, "+to+", is over, so the slot airs no more; change it, or delete the slot" {
			t.Errorf("%s: %v", to, problems[0])
		}
	}
}

func TestDatesWithoutAYearAreGivenThePresentOneInOneRemedy(t *testing.T) {
	for except, want := range map[string]string{
		`["10-1", "10-2"]`:               `"10-1" has no year; write except = ["2026-10-01", "2026-10-02"]`,
		`["10月1日", 2026-10-02, "10月3日"]`: `"10月1日" has no year; write except = ["2026-10-01", "2026-10-02", "2026-10-03"]`,
	} {
		_, problems := config.Read("dalaba.toml", []byte(good+slotOf("健康")+"except = "+except+"\n"), today{})
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), want) {
			t.Errorf("%s: want %s, got %v", except, want, problems)
		}
	}
}

func TestByteOrderMarkAndCRLFAreTolerated(t *testing.T) {
	text := "\ufeff" + strings.ReplaceAll(whole, "\n", "\r\n")
	if c, problems := config.Read("/etc/dalaba/dalaba.toml", []byte(text), shelf{}); c == nil || len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
}

func TestDevices(t *testing.T) {
	for written, want := range map[string]string{
		"auto": "auto", "null:": "null:", "wav:/tmp/x.wav": "wav:/tmp/x.wav", "wav:x.wav": "wav:/etc/dalaba/x.wav", "hw:1,0": "hw:1,0",
		"plughw:CARD=Device,DEV=1": "plughw:CARD=Device,DEV=1", "default": "default", "sysdefault:CARD=PCH": "sysdefault:CARD=PCH", "alsa:speaker": "speaker",
	} {
		c, problems := config.Read("/etc/dalaba/dalaba.toml", []byte(small+`device = "`+written+`"`), shelf{})
		if c == nil || c.Outputs[0].Device != want {
			t.Errorf("%s: %v, problems %v", written, c, problems)
		}
	}
	for _, written := range []string{"AUTO", "null", "hw:", "hw", "alsa:", "alsa:wav:x", "alsa:a b", "http://x/", ":", "wav: "} {
		if c, _ := config.Read("/etc/dalaba/dalaba.toml", []byte(small+`device = "`+written+`"`), shelf{}); c != nil {
			t.Errorf("%s was taken as %s", written, c.Outputs[0].Device)
		}
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	text := strings.Replace(small, "/var/lib/dalaba", "../data", 1)
	c, problems := config.Read(filepath.Join("a", "b", "dalaba.toml"), []byte(text), shelf{})
	if len(problems) > 0 || c.Site.DataDir != filepath.Join("a", "data") {
		t.Errorf("%v, problems %v", c, problems)
	}
}

func TestATextTooLargeIsRefused(t *testing.T) {
	_, problems := config.Read("dalaba.toml", make([]byte, config.MaxSize+1), shelf{})
	if len(problems) != 1 || problems[0].Error() != "dalaba.toml:1: the file is larger than 16 MiB; check that this is the right file" {
		t.Errorf("problems %v", problems)
	}
}

// A spiteful file costs no more than an honest one of its size: eight times as
// much of it costs some eight times as much, not 64 times.
func TestDeepNestsAndManyTablesAreReadToo(t *testing.T) {
	for _, spite := range []func(n int) string{
		func(n int) string { return "a = " + strings.Repeat("[", 4*n) },
		func(n int) string { return "a = " + strings.Repeat("[", n*9/10) + strings.Repeat("]", n*9/10) },
		func(n int) string { return strings.Repeat("[a]\n", 2*n) },
		func(n int) string { return strings.Repeat("[[quiet]]\n", 2*n) },
		func(n int) string { return small + strings.Repeat("[[slot]]\nname = \"x\"\n", n) },
		func(n int) string { return strings.Repeat("[b]\nx = y\n", n) },
		func(n int) string {
			return strings.Repeat("[[quiet]]\ncron = 1\n", n) + strings.Repeat("[[slot]]\ncron = \"x\"\n", n)
		},
		func(n int) string { return small + strings.Repeat("[[slot]]\nnam = \"x\u200b\"\n", n) },
		func(n int) string { return small + strings.Repeat("name = \"x\"\n", n) },
		func(n int) string { return small + strings.Repeat("a.b = 1\n", n) },
		func(n int) string { return strings.Repeat("[[slots]]\nname = \"x\"\n[slot]\nname = \"y\"\n", n) },
		func(n int) string { return "a" + strings.Repeat(".a", 6*n) + " = 1" },
		func(n int) string { return "[a" + strings.Repeat(".a", 6*n) + "]" },
		func(n int) string { return "a = { b" + strings.Repeat(".a", 6*n) + " = 1 }" },
		func(n int) string { return strings.Repeat("[a.b.c.d.e.f.g.h]\n", n) },
		func(n int) string { return strings.Repeat("a.b.c.d.e.f.g.h = 1\n", n) },
	} {
		const n, times = 10_000, 8
		short, text := spite(n/times), spite(n)
		read := func(text string) time.Duration {
			return work(t, func() {
				if c, problems := config.Read("dalaba.toml", []byte(text), shelf{}); c != nil || len(problems) == 0 {
					t.Errorf("%.20q was taken", text)
				}
				if dir := config.DataDir("dalaba.toml", []byte(text)); dir != "" && !strings.HasPrefix(text, small) {
					t.Errorf("%.20q has a data_dir: %s", text, dir)
				}
			})
		}
		few, many := read(short), read(text)
		for range 4 { // a processor shared with others can make it seem so
			if many <= 3*times*few {
				break
			}
			few, many = max(few, read(short)), min(many, read(text))
		}
		if many > 3*times*few {
			t.Fatalf("%.20q: %d bytes take %v of the processor's time, %d bytes take %v; want %v at most", text, len(short), few, len(text), many, 3*times*few)
		}
	}
}

// work is the processor's time that f takes, whatever else the machine does.
func work(t *testing.T, f func()) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	spent := func() time.Duration {
		var at unix.Timespec // getrusage counts in ticks of the scheduler
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
			t.Fatal(err)
		}
		return time.Duration(at.Nano())
	}
	before := spent()
	f()
	return spent() - before
}

func TestEverySentenceOfTheReaderIsKnown(t *testing.T) {
	for _, b := range broken {
		_, problems := config.Read("dalaba.toml", []byte(b.text), shelf{})
		for _, p := range problems {
			for _, m := range []say.Message{p.What, p.Remedy} {
				if !say.Has(m.Key) {
					t.Errorf("%s: no sentence %s", b.name, m.Key)
				}
			}
		}
	}
}

func TestTheCommandThatConvertsIsForThisConfig(t *testing.T) {
	text := []byte(small + "[[playlist]]\nname = \"健康\"\nclips = [\"/srv/stereo/*.mp3\", \"stereo/*.mp3\"]\n")
	for file, want := range map[string]string{
		"dalaba.toml":              `"dalaba import stereo/*.mp3"`,
		"/etc/dalaba/dalaba.toml":  `"dalaba import /etc/dalaba/stereo/*.mp3"`,
		"/etc/dalaba/village.toml": `"dalaba import -c /etc/dalaba/village.toml /etc/dalaba/stereo/*.mp3"`,
	} {
		_, problems := config.Read(file, text, shelf{})
		if !slices.ContainsFunc(problems, func(p config.Problem) bool { return strings.Contains(p.Error(), "run "+want+" once") }) {
			t.Errorf("%s: no %s in %v", file, want, problems)
		}
	}
}

func TestASeriesIsAwaitedWhereThereIsAnInbox(t *testing.T) {
	text := strings.Replace(small, "[site]", "[site]\ninbox = \"/srv/收集\"", 1) +
		"[[playlist]]\nname = \"新\"\nseries = \"新系列\"\n[[slot]]\nname = \"早间\"\nplaylist = \"新\"\ncron = \"30 7 * * *\"\n"
	cfg, problems := config.Read("dalaba.toml", []byte(text), shelf{})
	if cfg == nil || len(problems) != 1 || problems[0].Severity != config.Warning {
		t.Fatalf("refused: %v", problems)
	}
	if got, want := problems[0].In(say.Chinese), "音频库里没有系列“新系列”；把录音放进 /srv/收集/新系列，收下后就会播"; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if l := cfg.Playlists[0]; len(l.Clips) != 0 || !cfg.Lists("新系列") {
		t.Errorf("got %+v", l)
	}
}
