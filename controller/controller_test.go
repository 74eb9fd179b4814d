package controller_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dalaba/controller"
	"dalaba/controller/control"
	"dalaba/controller/hand"
	"dalaba/controller/status"
	"dalaba/data"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
	"dalaba/web"
)

const village = `
[site]
name = "大坝村"
area = "320924100201"
data_dir = "data"
clock = "battery"

[[output]]
name = "east"
device = "null:"
residents = 420
`

// patience is how long a test waits for what must come. No machine is so busy that
// it takes longer.
const patience = 3 * time.Minute

// running is a controller that runs, and how to ask it.
type running struct {
	t      *testing.T
	dir    string
	file   string
	c      *controller.Controller
	daemon *control.Client
	stop   func() error
	told   chan string // of reloads
	heard  sync.Map    // the kinds of sounds of alerts that have begun
	hangup chan os.Signal
}

// start runs a controller by a config until the test ends.
func start(t *testing.T, text string) *running {
	t.Helper()
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	dir := t.TempDir()
	r := &running{t: t, dir: dir, file: filepath.Join(dir, "dalaba.toml"), told: make(chan string, 10), hangup: make(chan os.Signal, 1)}
	r.write(text)
	var problems []config.Problem
	c, err := controller.New(t.Context(), controller.Options{
		File: r.file, Text: []byte(text), Program: "test", Console: slog.DiscardHandler,
		Language: func(string) say.Lang { return say.English },
		Problems: func(all []config.Problem) { problems = all },
		Watch: func(m player.Moment) {
			if m.Kind == player.MomentStarted {
				r.heard.Store(m.Row.Used, true)
			}
		},
		Hangup: r.hangup,
		Reloads: func(a control.Reloaded, refused error) {
			select {
			case r.told <- fmt.Sprint(a.Changes, refused):
			default: // this test does not read them
			}
		},
	})
	if err != nil {
		t.Fatalf("%v: %v", err, problems)
	}
	r.c = c
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	r.stop = func() error {
		cancel()
		err := <-ended
		ended <- nil
		return err
	}
	t.Cleanup(func() {
		if err := errors.Join(r.stop(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	r.await("the control socket", func() bool {
		r.daemon, err = control.Ask(t.Context(), filepath.Join(dir, "data"), say.English)
		return err == nil
	})
	r.await("an open output", func() bool { return r.status().Outputs[0].State == status.Idle })
	return r
}

func (r *running) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) await(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (r *running) status() status.Status {
	r.t.Helper()
	st, err := r.daemon.Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

func TestARunningControllerTellsHowItIs(t *testing.T) {
	r := start(t, village)
	st := r.status()
	if st.Site != "大坝村" || !st.Running || st.PID != os.Getpid() || st.Clock != "trusted" || st.Started.IsZero() || st.Store == nil {
		t.Errorf("%+v", st)
	}
	if o := st.Outputs[0]; o.Name != "east" || o.State != status.Idle || o.Since.IsZero() || o.Residents != 420 {
		t.Errorf("%+v", o)
	}
	events, err := r.daemon.Events(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	r.await("the start in the log", func() bool {
		events, err = r.daemon.Events(t.Context(), 0, 100)
		return err != nil || len(events) > 0
	})
	if err != nil || events[0].Message != "started" {
		t.Errorf("%v, %v", events, err)
	}
}

func TestADeviceThatIsAwayIsToldWithItsReason(t *testing.T) {
	r := start(t, village)
	r.write(village + "\n[[output]]\nname = \"west\"\ndevice = \"alsa:nosuchcard\"\n")
	if _, err := r.daemon.Reload(t.Context(), control.Reload{Config: r.file}); err != nil {
		t.Fatal(err)
	}
	var west status.Output
	r.await("an output that is away", func() bool {
		west = r.status().Outputs[1]
		return west.State == status.Away
	})
	if !strings.Contains(west.Problem, "nosuchcard") {
		t.Errorf("%+v", west)
	}
}

func TestTheAnswerToAReloadIsThatOfTheFileAsItStands(t *testing.T) {
	r := start(t, village)
	ctx := t.Context()
	r.write(village + "\n[[output]]\nname = \"west\"\ndevice = \"null:\"\n")
	got, err := r.daemon.Reload(ctx, control.Reload{Config: r.file})
	if err != nil || got.Outputs != 2 || len(got.SHA256) != 64 || got.NextStart == nil || len(got.NextStart) > 0 {
		t.Errorf("taken: %+v, %v", got, err)
	}
	r.write(village + "colour = \"red\"\n")
	_, err = r.daemon.Reload(ctx, control.Reload{Config: r.file})
	if f := new(web.Failed); !errors.As(err, &f) || f.Status != 422 || len(f.Problems) != 1 || !strings.Contains(f.Problems[0], "colour") {
		t.Errorf("refused: %v", err)
	}
	if len(r.c.Config().Outputs) != 2 {
		t.Error("what was good is not in force any more")
	}
	r.write(village + "\n[amplifier]\nrelay = \"command:true\"\nwarm_up = \"0s\"\n")
	got, err = r.daemon.Reload(ctx, control.Reload{Config: r.file})
	if err != nil || got.Outputs != 1 || len(got.NextStart) == 0 || got.NextStart[0] != "amplifier.relay" {
		t.Errorf("for the next start: %+v, %v", got, err)
	}
	r.write(strings.Replace(village, `"data"`, `"elsewhere"`, 1))
	if _, err := r.daemon.Reload(ctx, control.Reload{Config: r.file}); err == nil || len(r.c.Config().Outputs) != 1 {
		t.Errorf("another data_dir: %v", err)
	}
	other := filepath.Join(r.dir, "other.toml")
	if err := os.WriteFile(other, []byte(village), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.daemon.Reload(ctx, control.Reload{Config: other}); err == nil || !strings.Contains(err.Error(), "other.toml") {
		t.Errorf("another file: %v", err)
	}
}

func TestWhoWatchesIsToldOfReloads(t *testing.T) {
	r := start(t, village)
	for _, c := range []struct {
		name, text string
		automatic  bool
		want       string // empty: nothing
	}{
		{"a new output", village + "\n[[output]]\nname = \"west\"\ndevice = \"null:\"\n", false, "[{added output west}] <nil>"},
		{"the same again", village + "\n[[output]]\nname = \"west\"\ndevice = \"null:\"\n", false, "[] <nil>"},
		{"the same by itself", village + "\n[[output]]\nname = \"west\"\ndevice = \"null:\"\n", true, ""},
		{"another file that clips come to", village, true, ""},
		{"a broken file", village + "colour = \"red\"\n", false, "refused"},
		{"a broken file that clips come to", village + "colour = \"red\"\n", true, ""},
		{"the first again", village, false, "[{removed output west}] <nil>"},
	} {
		r.write(c.text)
		got, err := r.daemon.Reload(t.Context(), control.Reload{Config: r.file, Automatic: c.automatic})
		told := ""
		select {
		case told = <-r.told:
		default: // it is told before the answer is given
		}
		switch {
		case c.want == "refused":
			if want := "[] " + say.M("run.reload_refused").In(say.English); err == nil || told != want {
				t.Errorf("%s: %q, want %q; %v", c.name, told, want, err)
			}
		case told != c.want || err != nil:
			t.Errorf("%s: %q, want %q; %v", c.name, told, c.want, err)
		case c.want != "" && fmt.Sprint(got.Changes)+" <nil>" != c.want:
			t.Errorf("%s: the answer has %v", c.name, got.Changes)
		}
	}
}

func TestATonePlaysToItsEndOrUntilItIsStopped(t *testing.T) {
	r := start(t, village)
	got, err := r.daemon.Play(t.Context(), hand.Order{Output: "east", HZ: 500, Seconds: 0.5, LevelDB: -20}, func(hand.Report) {})
	if err != nil || !got.Complete || got.Frames != playlist.Rate/2 || got.OfFrames != got.Frames {
		t.Errorf("to its end: %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got, err = r.daemon.Play(ctx, hand.Order{Output: "east", HZ: 500, Seconds: 300, LevelDB: -20}, func(hand.Report) { cancel() })
	if err != nil || !got.Stopped || got.Complete || got.Frames == 0 {
		t.Errorf("stopped: %+v, %v", got, err)
	}
	if _, err := r.daemon.Play(t.Context(), hand.Order{Output: "nowhere", HZ: 500, Seconds: 1}, func(hand.Report) {}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("on no output: %v", err)
	}
	if _, err := r.daemon.Play(t.Context(), hand.Order{Output: "east", HZ: 5, Seconds: 1}, func(hand.Report) {}); err == nil || !strings.Contains(err.Error(), "20") {
		t.Errorf("too low: %v", err)
	}
}

func TestADaemonThatStopsTellsWhomItPlaysFor(t *testing.T) {
	r := start(t, village)
	got, err := r.daemon.Play(t.Context(), hand.Order{Output: "east", HZ: 500, Seconds: 300, LevelDB: -20}, func(hand.Report) {
		go func() { _ = r.stop() }()
	})
	if err == nil || !strings.Contains(err.Error(), "ended") && !strings.Contains(err.Error(), "stopp") || got.Complete || got.Frames == 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAMicrophoneSpeaksUntilItIsStopped(t *testing.T) {
	r := start(t, village+"\n[microphone]\ncapture = [\"cat\", \"/dev/zero\"]\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got, err := r.daemon.SpeakLive(ctx, func(h hand.Report) {
		if h.Frames > 0 {
			cancel()
		}
	})
	if err != nil || !got.Stopped || got.Frames == 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

const flood = `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>flood-1</identifier><sender>county@example.cn</sender><sent>%s</sent>
<status>Exercise</status><msgType>Alert</msgType><scope>Public</scope>
<info><language>zh-CN</language><category>Met</category><event>洪水</event><urgency>Immediate</urgency>
<severity>Extreme</severity><certainty>Observed</certainty><description>请转移。</description>
<area><areaDesc>大坝村</areaDesc><geocode><valueName>county</valueName><value>320924100201</value></geocode></area></info></alert>`

func TestAnAlertIsHandedInAndCancelled(t *testing.T) {
	r := start(t, village+"\n[alert]\nunsigned = [\"hand\"]\n")
	raw := []byte(strings.Replace(flood, "%s", time.Now().In(time.FixedZone("", 8*3600)).Format(time.RFC3339), 1))
	got, err := r.daemon.TakeAlert(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if got.Known || got.Record.ID == "" {
		t.Errorf("%+v", got)
	}
	again, err := r.daemon.TakeAlert(t.Context(), raw)
	if err != nil || !again.Known || again.Record.ID != got.Record.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := r.daemon.CancelAlert(t.Context(), got.Record.ID); err != nil {
		t.Error(err)
	}
	var state emergency.State
	r.await("the alert to be over", func() bool {
		records, err := r.c.Store().Alerts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			if rec.ID == got.Record.ID {
				state = rec.State
			}
		}
		return state.Over()
	})
	if _, err := r.daemon.TakeAlert(t.Context(), []byte("no message")); err == nil {
		t.Error("no message was taken")
	}
}

func TestAnAlertSoundsThoughTheStoreIsLocked(t *testing.T) {
	r := start(t, village+"\n[alert]\nunsigned = [\"hand\"]\n")
	db, err := sql.Open("sqlite3", filepath.Join(r.dir, "data", "dalaba.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	lock, err := db.Conn(t.Context())
	if err == nil {
		_, err = lock.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	unlock := sync.OnceFunc(func() {
		_, rerr := lock.ExecContext(context.WithoutCancel(t.Context()), "ROLLBACK")
		if err := errors.Join(rerr, lock.Close()); err != nil {
			t.Error(err)
		}
	})
	defer unlock()
	raw := strings.Replace(flood, "%s", time.Now().In(time.FixedZone("", 8*3600)).Format(time.RFC3339), 1)
	handed := make(chan error, 1)
	go func() {
		_, err := r.daemon.TakeAlert(context.WithoutCancel(t.Context()), []byte(strings.Replace(raw, "Exercise", "Actual", 1)))
		handed <- err
	}()
	r.await("the tone", func() bool { return r.status().Outputs[0].State == status.Airing })
	if _, err := exec.LookPath("espeak-ng"); err == nil {
		r.await("the words", func() bool { _, ok := r.heard.Load(asrun.UsedSpeech); return ok })
	}
	unlock()
	<-handed // stored by now, or the error says that it is not
}

func TestAStickNeedsAnEnrolment(t *testing.T) {
	r := start(t, village)
	if _, err := r.daemon.Carry(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "enrol") {
		t.Error(err)
	}
}

func TestASecondControllerOfAFolderIsRefused(t *testing.T) {
	r := start(t, village)
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = controller.New(t.Context(), controller.Options{
		File: r.file, Text: text, Console: slog.DiscardHandler,
		Language: func(string) say.Lang { return say.English }, Problems: func([]config.Problem) {},
	})
	if !errors.Is(err, data.ErrLocked) {
		t.Error(err)
	}
}

func TestARefusedConfigFallsBackToTheLastGoodOne(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "dalaba.toml")
	begin := func(text string) (*controller.Controller, int, error) {
		problems := 0
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := controller.New(t.Context(), controller.Options{
			File: file, Text: []byte(text), Console: slog.DiscardHandler,
			Language: func(string) say.Lang { return say.English }, Problems: func(all []config.Problem) { problems = len(all) },
		})
		return c, problems, err
	}
	broken := village + "colour = \"red\"\n"
	if _, n, err := begin(broken); !errors.Is(err, controller.ErrRefused) || n != 1 {
		t.Errorf("with nothing before: %d problems, %v", n, err)
	}
	for _, text := range []string{village, broken} {
		c, _, err := begin(text)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Config().Outputs) != 1 {
			t.Errorf("%d outputs", len(c.Config().Outputs))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTheLogTellsHowAReloadWent(t *testing.T) {
	r := start(t, village)
	for _, c := range []struct {
		name, text, message, why string
	}{
		{"no change", village + "# a remark\n", "config read again, nothing has changed", ""},
		{"a change", village + "\n[[output]]\nname = \"west\"\ndevice = \"null:\"\n", "config in force", ""},
		{"a fault", village + "colour = \"red\"\n", "config refused, the old one stays in force", "colour"},
		{"another data folder", strings.Replace(village, `"data"`, `"elsewhere"`, 1), "config refused, the old one stays in force", "elsewhere"},
	} {
		r.write(c.text)
		_, err := r.daemon.Reload(t.Context(), control.Reload{Config: r.file})
		if (err != nil) != (c.why != "") {
			t.Errorf("%s: %v", c.name, err)
		}
		var got []asrun.Event
		r.await(c.name+" in the log", func() bool {
			got = slices.DeleteFunc(r.events(), func(e asrun.Event) bool { return e.Message != c.message })
			return len(got) > 0 && strings.Contains(fmt.Sprint(got[len(got)-1].Attrs["why"]), c.why)
		})
		en, zh := fmt.Sprint(got[len(got)-1].Attrs["why"]), fmt.Sprint(got[len(got)-1].Attrs["why.zh"])
		if c.why != "" && (en == zh || !strings.Contains(zh, c.why)) {
			t.Errorf("%s: not in both languages: %q, %q", c.name, en, zh)
		}
	}
	if n := r.logged("config refused, the old one stays in force"); n != 2 {
		t.Errorf("two refusals are logged %d times", n)
	}
}
