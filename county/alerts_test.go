package county_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/alert"
	"dalaba/alert/alerttest"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// holds reports whether a controller's latest state has an alert, with a clip
// or without.
func (b *box) holds(id playlist.AlertID) (clip, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.alerts[id]
	return a.Clip != nil, ok
}

// sounded hands in the rows of an alert: the tone, and a pass.
func (b *box) sounded(id playlist.AlertID, output string, residents int, o asrun.Outcome) {
	now := time.Now().UTC().Truncate(time.Second)
	r := asrun.Row{
		Airing: id.Airing(), Alert: id, Output: output, Item: 1, Part: 1, Due: now, Started: now, Ended: now.Add(time.Second),
		Frames: 48000, OfFrames: 48000, Residents: residents, Area: village, Outcome: asrun.Complete, Clock: playlist.ClockTrusted, Used: asrun.UsedTone,
	}
	say := r
	say.Part, say.Used, say.Outcome = 2, asrun.UsedClip, o
	b.aired(r, say)
}

func (w *world) state(t *testing.T, id playlist.AlertID) emergency.State {
	t.Helper()
	a, err := w.Store.Alert(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return a.State
}

func course(t *testing.T) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile(filepath.Join("..", "data", "course", "testdata", "clip1.mp3")))
}

func TestAnAlertByHandFromOrderToAccount(t *testing.T) {
	ordered := make(chan struct{})
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		door := c.Ingest.Door
		var proven atomic.Bool // by the dry run
		c.Ingest.Door = func(r io.Reader) (playlist.Clip, error) {
			if !proven.Swap(true) {
				return door(r)
			}
			select { // no sound is ready before the order has arrived
			case <-ordered:
			case <-time.After(patience):
			}
			return door(r)
		}
	})
	order := sync.OnceFunc(func() { close(ordered) })
	t.Cleanup(order)
	b := w.enrol(t, village, nil, speaker("村口", village, 420), speaker("村东", village, 80))
	far := w.enrol(t, other, nil, speaker("村西", other, 60))
	eventually(t, "both are seen", func() bool { return online(t, w, b.id) && online(t, w, far.id) })
	w.freeze() // what is not said is said by and by otherwise
	h := county.ByHand{Text: "洪水预警", Level: emergency.Red, Scopes: []playlist.Scope{playlist.AreaScope(townArea)}, Audio: course(t), AudioName: "a.mp3", Passes: 2}

	var v county.Verdict
	w.call(t, "POST", "/api/alerts", url.Values{"dry": {"1"}}, h, &v)
	if v.State != emergency.StateWaiting || v.Reaches.Controllers != 1 || v.Reaches.Residents != 500 {
		t.Errorf("dry run: %+v", v)
	}
	if all := must[[]store.Alert](t)(w.Store.Alerts(t.Context(), 10)); len(all) != 0 {
		t.Fatal("a dry run was kept")
	}
	if s := w.call(t, "POST", "/api/alerts", nil, h, &v); s != http.StatusOK {
		t.Fatalf("not taken: %d", s)
	}
	eventually(t, "the order arrives", func() bool { _, ok := b.holds(v.ID); return ok })
	order()
	eventually(t, "its clip arrives", func() bool { clip, _ := b.holds(v.ID); return clip })
	b.mu.Lock()
	first := b.states[0]
	b.mu.Unlock()
	if len(first.Alerts) != 1 {
		t.Fatalf("the first state holds %d alerts, want 1", len(first.Alerts))
	}
	if a := first.Alerts[0]; !a.Order || a.Clip != nil || a.Alert.NotAfter.IsZero() {
		t.Errorf("the first state is an order: %v, with a clip: %v, until %v; want an order without a clip and with its end", a.Order, a.Clip != nil, a.Alert.NotAfter)
	}
	if _, ok := far.holds(v.ID); ok {
		t.Error("it went to another town")
	}

	account := func() (a county.AlertAccount) {
		w.call(t, "GET", "/api/account", url.Values{"id": {string(v.ID)}}, nil, &a)
		return a
	}
	eventually(t, "it is delivered", func() bool { return account().Controllers.Delivered == 1 })
	if a := account(); len(a.Silent) != 1 || a.CoverageRate.Numerator != 0 || a.CoverageRate.Denominator != 500 || a.CoverageRate.Unknown != 500 {
		t.Errorf("before it sounded: %+v", a)
	}
	b.sounded(v.ID, "村口", 420, asrun.Complete)
	eventually(t, "it is airing", func() bool { return w.state(t, v.ID) == emergency.StateAiring })
	a := account()
	if a.Residents != (county.Ladder{Targeted: 500, Online: 500, Delivered: 500, Started: 420, Completed: 420}) ||
		a.Outputs != (county.Ladder{Targeted: 2, Online: 2, Delivered: 2, Started: 1, Completed: 1}) ||
		a.Controllers.Completed != 0 || a.CoverageRate.Unknown != 80 || a.ResBrdStat != [4]int{1, 1, 0, 1} || len(a.Silent) != 0 {
		t.Errorf("account %+v", a)
	}
	if rep := must[county.ReachReport](t)(w.Reach(t.Context(), store.ReachQuery{By: store.ByDay})); rep.Total.Planned != 0 {
		t.Errorf("an alert counts among the lessons: %+v", rep.Total)
	}

	if s := w.call(t, "POST", "/api/cancel", url.Values{"id": {string(v.ID)}}, nil, nil); s != http.StatusOK {
		t.Fatalf("not cancelled: %d", s)
	}
	eventually(t, "it is called off", func() bool { _, ok := b.holds(v.ID); return !ok })
	if s := w.state(t, v.ID); s != emergency.StateCancelled {
		t.Errorf("state %s", s)
	}
}

// halfWAV is two seconds of a tone, the first half of a WAV file of four.
func halfWAV() []byte {
	const rate, seconds = 8000, 2
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00")
	le := binary.LittleEndian
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, 2*rate)
	b = append(b, 2, 0, 16, 0)
	b = le.AppendUint32(append(b, "data"...), 2*2*rate*seconds)
	for i := range rate * seconds {
		b = le.AppendUint16(b, uint16(int16(8000*math.Sin(2*math.Pi*440*float64(i)/rate))))
	}
	le.PutUint32(b[4:], 36+2*2*rate*seconds)
	return b
}

// The title of an alert of sound alone is how people call it, here and on the pole, and
// the sound stays what airs, even if it is damaged.
func TestATitleSurvivesAnAlertOfSoundAlone(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	if err := w.Ingest.Ready(); err != nil {
		t.Skip(err)
	}
	if _, err := w.TakeByHand(t.Context(), county.ByHand{
		Title: "演练通知", Level: emergency.Red, Scopes: []playlist.Scope{playlist.ControllerScope(b.id)}, Audio: halfWAV(), AudioName: "half.wav",
	}, false); !errors.Is(err, playlist.ErrInvalid) {
		t.Errorf("half of a sound at the desk: %v", err)
	}
	v := must[county.Verdict](t)(w.Take(t.Context(), county.Incoming{Source: county.FromHand, Alert: emergency.Alert{
		ID: "half", Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red, Sent: time.Now(),
		Texts: []emergency.Text{{Language: "zh-CN", Title: "演练通知"}}, Audio: []emergency.Audio{{Name: "half.wav", Data: halfWAV()}},
	}}))
	eventually(t, "its clip arrives", func() bool { clip, _ := b.holds(v.ID); return clip })
	b.mu.Lock()
	there := b.alerts[v.ID].Alert
	b.mu.Unlock()
	if there.Headline() != "演练通知" {
		t.Errorf("the pole calls it %q", there.Headline())
	}
	a := must[store.Alert](t)(w.Store.Alert(t.Context(), v.ID))
	if a.Headline() != "演练通知" || a.Detail.Spoken {
		t.Errorf("the county calls it %q; its title is spoken: %v (%s)", a.Headline(), a.Detail.Spoken, a.Detail.NoClip)
	}
}

func TestAnAlertOfWordsIsSpoken(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	if err := w.Ingest.Ready(); err != nil {
		t.Skip(err)
	}
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{
		Text: "请立即撤离", Level: emergency.Orange, Scopes: []playlist.Scope{playlist.ControllerScope(b.id)},
	}, false))
	eventually(t, "the words arrive as a clip", func() bool { clip, _ := b.holds(v.ID); return clip })
	a := must[store.Alert](t)(w.Store.Alert(t.Context(), v.ID))
	if !a.Detail.Spoken || a.Detail.Clip.Frames < playlist.Rate/2 {
		t.Errorf("%+v", a.Detail)
	}
}

// What an alert's sound is made with comes before what an import is made with.
func TestAnAlertsSoundIsMadeAheadOfImports(t *testing.T) {
	dir := t.TempDir()
	told := filepath.Join(dir, "told")
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		if err := c.Ingest.Ready(); err != nil {
			t.Skip(err)
		}
		ffmpeg := must[string](t)(exec.LookPath("ffmpeg"))
		c.Ingest.FFmpeg = filepath.Join(dir, "ffmpeg")
		text := fmt.Sprintf("#!/bin/sh\ncut -d ' ' -f 19 /proc/$$/stat >>'%s'\nexec '%s' \"$@\"\n", told, ffmpeg)
		if err := os.WriteFile(c.Ingest.FFmpeg, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	nice := func() (all []string) {
		all = strings.Fields(string(must[[]byte](t)(os.ReadFile(told))))
		if err := os.Remove(told); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{
		Text: "预警", Level: emergency.Red, Scopes: []playlist.Scope{playlist.AreaScope(village)}, Audio: course(t), AudioName: "a.mp3",
	}, false))
	eventually(t, "its clip is made", func() bool { return must[store.Alert](t)(w.Store.Alert(t.Context(), v.ID)).Detail.Clip != nil })
	sound := nice()
	must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{Text: "请撤离", Level: emergency.Red, Scopes: v.Scopes}, false))
	eventually(t, "another's words are spoken", func() bool {
		all := must[[]store.Alert](t)(w.Store.Alerts(t.Context(), 10))
		return len(all) == 2 && all[0].Detail.Clip != nil && all[1].Detail.Clip != nil
	})
	words := nice()
	raw := must[[]byte](t)(os.ReadFile(filepath.Join("..", "data", "course", "testdata", "clip2.mp3")))
	if s := w.call(t, "POST", "/api/clips", url.Values{"name": {"clip2.mp3"}}, raw, nil); s != http.StatusOK {
		t.Fatalf("no import: %d", s)
	}
	imported := nice()
	ours := 20 - must[int](t)(unix.Getpriority(unix.PRIO_PROCESS, 0))
	at := func(more int) []string { return []string{strconv.Itoa(min(max(ours, 0)+more, 19))} }
	if !slices.Equal(sound, at(5)) || !slices.Equal(words, at(5)) || !slices.Equal(imported, at(10)) {
		t.Errorf("this program runs at nice %d; an alert's sound is made at %v and its speech at %v, want %v; an import at %v, want %v",
			ours, sound, words, at(5), imported, at(10))
	}
}

// A county that is told to end does not wait until the sounds of alerts are made: the
// next run makes them.
func TestACountyEndsThoughSoundsOfAlertsAreBeingMade(t *testing.T) {
	dir := t.TempDir()
	begun := filepath.Join(dir, "begun")
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		if err := c.Ingest.Ready(); err != nil {
			t.Skip(err)
		}
		slow := *c.Ingest
		slow.FFmpeg = filepath.Join(dir, "ffmpeg")
		text := fmt.Sprintf("#!/bin/sh\necho >>'%s'\nexec sleep 60\n", begun)
		if err := os.WriteFile(slow.FFmpeg, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		c.Ingest = &slow
	})
	var ids []playlist.AlertID
	for range 4 {
		v := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{
			Text: "预警", Level: emergency.Red, Scopes: []playlist.Scope{playlist.AreaScope(village)},
		}, false))
		ids = append(ids, v.ID)
	}
	eventually(t, "sounds are being made", func() bool { _, err := os.Stat(begun); return err == nil })
	start := time.Now()
	w.die()
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v to end", took)
	}
	w.Ingest.FFmpeg = ""
	w.replica(t)
	for _, id := range ids {
		eventually(t, "the next run makes it", func() bool { return must[store.Alert](t)(w.Store.Alert(t.Context(), id)).Detail.Clip != nil })
	}
}

func TestAnAlertEndsWithItsTime(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome asrun.Outcome
		want    emergency.State
	}{
		{"heard in full", asrun.Complete, emergency.StateDone},
		{"heard in part", asrun.Partial, emergency.StatePartial},
		{"not heard", "", emergency.StateFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, t.TempDir(), nil)
			b := w.enrol(t, village, nil, speaker("村口", village, 420))
			eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
			v := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{
				Text: "预警", Level: emergency.Blue, Scopes: []playlist.Scope{playlist.AreaScope(village)}, Audio: course(t), AudioName: "a.mp3",
			}, false))
			eventually(t, "it arrives", func() bool { _, ok := b.holds(v.ID); return ok })
			if c.outcome != "" {
				b.sounded(v.ID, "村口", 420, c.outcome)
				eventually(t, "its rows are in", func() bool { return b.unsent() == 0 })
			}
			w.shift.Store(int64(2 * time.Hour))
			eventually(t, "it is over", func() bool { return w.state(t, v.ID) == c.want })
			eventually(t, "it is taken back", func() bool { _, ok := b.holds(v.ID); return !ok })
		})
	}
}

// ebm is an emergency message as a province sends it.
func ebm(t *testing.T, id string, change func(*emergency.Alert)) (alert.Package, playlist.AlertID) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	a := emergency.Alert{
		ID: playlist.AlertID("6341523000000000001" + id), Sender: "634152300000", SenderName: "县应急广播中心", Sent: now, Kind: emergency.KindRequest,
		Class: emergency.ClassEmergency, Level: emergency.Red, EventCode: "11000", Areas: []playlist.Area{townArea}, NotBefore: now, NotAfter: now.Add(time.Hour),
		Texts: []emergency.Text{{Language: "zh-CN", Title: "洪水预警", Text: "请立即撤离"}}, Audio: []emergency.Audio{{Name: "a.mp3", MediaType: "audio/mpeg", Data: course(t)}},
	}
	if change != nil {
		change(&a)
	}
	p, err := alerttest.Request(alert.EBD{ID: alert.EBDID("634152300000000001", uint64(len(id)*1000+int(id[0]))), From: "634152300000000001", Time: now}, a, alert.Sign{})
	return must[alert.Package](t)(p, err), a.ID
}

// send posts a package as the system does.
func (w *world) send(t *testing.T, p alert.Package) alert.Message {
	t.Helper()
	var body bytes.Buffer
	f := multipart.NewWriter(&body)
	part := must[io.Writer](t)(f.CreateFormFile("file", p.Name))
	_, _ = part.Write(p.Tar)
	_ = f.Close()
	status, raw := w.post(t, "/ebd", f.FormDataContentType(), &body)
	if status != http.StatusOK {
		t.Fatalf("/ebd: %d", status)
	}
	m := must[alert.Message](t)(alert.Parse(t.Context(), raw, alert.Options{}))
	if m.Kind != alert.KindResponse {
		t.Fatalf("answered with %s", m.Kind)
	}
	return m
}

// What the preview says of a message is what becomes of it: one that was
// cancelled before it came, and one that came before.
func TestAPreviewSaysWhatBecomesOfAMessage(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	message := func(id playlist.AlertID, kind emergency.Kind, refs ...playlist.AlertID) county.Incoming {
		return county.Incoming{Source: county.FromEBD, Raw: []byte{1}, Alert: emergency.Alert{
			ID: id, Kind: kind, Class: emergency.ClassEmergency, Level: emergency.Red, Areas: []playlist.Area{townArea}, Sent: time.Now(), Refs: refs,
		}}
	}
	must[county.Verdict](t)(w.Take(t.Context(), message("cancel", emergency.KindCancel, "late")))
	for _, c := range []struct {
		id        playlist.AlertID
		state     emergency.State
		why       emergency.Reason
		duplicate bool
	}{
		{"late", emergency.StateCancelled, emergency.ReasonCancelled, false},
		{"late", emergency.StateCancelled, emergency.ReasonCancelled, true},
		{"plain", emergency.StateWaiting, emergency.ReasonNone, false},
		{"plain", emergency.StateWaiting, emergency.ReasonNone, true},
	} {
		m := message(c.id, emergency.KindRequest)
		weighed := must[county.Verdict](t)(w.Weigh(t.Context(), m))
		taken := must[county.Verdict](t)(w.Take(t.Context(), m))
		for _, v := range []county.Verdict{weighed, taken} {
			if v.State != c.state || v.Why != string(c.why) || v.Duplicate != c.duplicate || v.Reaches.Residents != 420 {
				t.Errorf("%s: %+v", c.id, v)
			}
		}
	}
}

// leaver is a store of whose users one goes as soon as his alert is kept.
type leaver struct {
	county.AlertStore
	leave func()
}

func (l *leaver) AddAlert(ctx context.Context, a store.Alert, f emergency.Facts, targets []store.Target) (kept store.Alert, ended []store.Alert, err error) {
	kept, ended, err = l.AlertStore.AddAlert(ctx, a, f, targets)
	l.leave()
	return kept, ended, err
}

func TestWhatASenderBeganIsDoneThoughHeHangsUp(t *testing.T) {
	l := &leaver{}
	w := newWorld(t, t.TempDir(), unsigned, func(c *county.County) {
		county.WithAlertStore(c, func(own county.AlertStore) county.AlertStore {
			l.AlertStore = own
			return l
		})
	})
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	said := func() string {
		return must[store.Envelope](t)(w.Store.Envelope(t.Context(), link.KindAlerts, playlist.AreaScope(townArea), 0)).Note
	}
	take := func(ctx context.Context, id string) playlist.AlertID {
		t.Helper()
		p, alertID := ebm(t, id, nil)
		must[alert.Package](t)(w.TakeEBD(ctx, p.Tar, "peer"))
		if !slices.Contains(strings.Fields(said()), string(alertID)) {
			t.Errorf("%s was not said", alertID)
		}
		eventually(t, "it arrives with its sound", func() bool { clip, _ := b.holds(alertID); return clip })
		return alertID
	}
	ctx, leave := context.WithCancel(t.Context())
	l.leave = leave
	id := take(ctx, "a1") // once it was kept
	take(ctx, "b1")       // before

	ctx, l.leave = context.WithCancel(t.Context())
	if v := must[county.Verdict](t)(w.CancelByHand(ctx, id)); v.State != emergency.StateLogged {
		t.Errorf("%+v", v)
	}
	if slices.Contains(strings.Fields(said()), string(id)) {
		t.Error("what was cancelled is still said")
	}
	if v := must[county.Verdict](t)(w.TakeCAP(ctx, []byte(capXML("c1", string(townArea))), county.FromCAP)); v.State != emergency.StateWaiting {
		t.Errorf("%+v", v)
	}
}

// torn is a store that cannot keep the documents of one scope.
type torn struct {
	county.Envelopes
	scope playlist.Scope
}

var errTorn = errors.New("the disk is full")

func (s torn) AddEnvelope(ctx context.Context, e store.Envelope) error {
	if e.Scope == s.scope {
		return errTorn
	}
	return s.Envelopes.AddEnvelope(ctx, e)
}

func TestAnAlertGoesOutToEachScopeThatItCan(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	w.die() // nothing is put right by and by
	w.alone()
	first, second := playlist.AreaScope(townArea), playlist.AreaScope("341523101000")
	county.WithEnvelopes(w.County, func(own county.Envelopes) county.Envelopes { return torn{own, first} })
	v, err := w.TakeByHand(t.Context(), county.ByHand{Text: "预警", Level: emergency.Red, Scopes: []playlist.Scope{first, second}}, false)
	if !errors.Is(err, errTorn) || v.State != emergency.StateWaiting {
		t.Errorf("%+v, %v; want it waiting, and %v", v, err, errTorn)
	}
	e, err := w.Store.Envelope(t.Context(), link.KindAlerts, second, 0)
	if err != nil || e.Note != string(v.ID) {
		t.Errorf("%s was told of %q, %v; want %q", second, e.Note, err, v.ID)
	}
}

// A document that hangs on its way to the broker is in no alert's way.
func TestAnAlertWaitsForNoOtherDocument(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	clip := w.clip(t, "clip1.mp3")
	w.die()
	hangs, release, said := make(chan struct{}), make(chan struct{}), make(chan playlist.Scope, 1)
	o := w.Options
	o.Ingest, o.Publish = nil, func(_ context.Context, s playlist.Scope, k link.Kind, _ []byte) error {
		switch k {
		case link.KindManifest:
			close(hangs)
			<-release
		case link.KindAlerts:
			said <- s
		}
		return nil
	}
	w.County = county.New(o)
	var work sync.WaitGroup
	defer work.Wait()
	defer close(release)
	scope := playlist.AreaScope(village)
	d := draft(t, scope, clip)
	work.Go(func() {
		if _, err := w.Issue(t.Context(), d); err != nil {
			t.Error(err)
		}
	})
	await(t, "the manifest is on its way", hangs)
	work.Go(func() {
		if _, err := w.TakeByHand(t.Context(), county.ByHand{Text: "预警", Level: emergency.Red, Scopes: []playlist.Scope{scope}}, false); err != nil {
			t.Error(err)
		}
	})
	if s := await(t, "the alert is said while the manifest hangs", said); s != scope {
		t.Errorf("said to %s, want %s", s, scope)
	}
}

func unsigned(c *county.Options) {
	c.Alerts.Unsigned = []string{county.FromEBD, county.FromCAP, county.FromFeed}
	c.EBD.EBRID = "634152300000000002"
}

func TestEBDPackagesAreAnsweredOnTheSpot(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })

	p, id := ebm(t, "a1", nil)
	m := w.send(t, p)
	if m.Result.Code != alert.ResultReceived || m.EBD.Related == "" {
		t.Errorf("answer %+v to %+v", m.Result, m.EBD)
	}
	eventually(t, "it arrives with its sound", func() bool { clip, _ := b.holds(id); return clip })
	if m := w.send(t, p); m.Result.Code != alert.ResultReceived {
		t.Errorf("a retry is answered %+v", m.Result)
	}
	if all := must[[]store.Alert](t)(w.Store.Alerts(t.Context(), 10)); len(all) != 1 || len(must[store.Alert](t)(w.Store.Alert(t.Context(), id)).Raw) == 0 {
		t.Errorf("a retry was kept again, or the bytes were not: %d", len(all))
	}

	for _, c := range []struct {
		name   string
		change func(*emergency.Alert)
		state  emergency.State
		why    emergency.Reason
		code   alert.ResultCode
	}{
		{"another county", func(a *emergency.Alert) { a.Areas = []playlist.Area{"341524100000"} }, emergency.StateRefused, emergency.ReasonArea, alert.ResultOther},
		{"over already", func(a *emergency.Alert) {
			a.NotAfter = a.Sent.Add(-time.Minute)
			a.NotBefore = a.NotAfter.Add(-time.Minute)
		}, emergency.StateRefused, emergency.ReasonExpired, alert.ResultOther},
		{"a drill where none is allowed", func(a *emergency.Alert) { a.Class = emergency.ClassDrillActual }, emergency.StateRefused, emergency.ReasonDrill, alert.ResultOther},
		{"a test", func(a *emergency.Alert) { a.Class = emergency.ClassTest }, emergency.StateLogged, emergency.ReasonSilent, alert.ResultReceived},
		{"a province's, which holds this county", func(a *emergency.Alert) { a.Areas = []playlist.Area{"340000000000"} }, emergency.StateWaiting, "", alert.ResultReceived},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, id := ebm(t, fmt.Sprintf("b%x", sha1.Sum([]byte(c.name)))[:9], c.change)
			m := w.send(t, p)
			a := must[store.Alert](t)(w.Store.Alert(t.Context(), id))
			if m.Result.Code != c.code || a.State != c.state || a.Why != string(c.why) {
				t.Errorf("answered %+v, state %s, %s", m.Result, a.State, a.Why)
			}
		})
	}
	_, raw := w.post(t, "/ebd", "application/x-tar", strings.NewReader("no tar at all"))
	if m := must[alert.Message](t)(alert.Parse(t.Context(), raw, alert.Options{})); m.Result.Code == alert.ResultReceived {
		t.Errorf("nonsense is answered %+v", m.Result)
	}
	beat := must[alert.Package](t)(alert.Heartbeat(alert.EBD{ID: "h1", From: "634152300000000001", Time: time.Now()}, alert.Sign{}))
	w.send(t, beat)
	log := must[[]store.EBD](t)(w.Store.EBDs(t.Context(), 50))
	if len(log) != 9 {
		t.Errorf("%d packages in the log, want 9", len(log))
	}
	for i, m := range log {
		retry := i == len(log)-2
		if want := strings.HasPrefix(m.Result, "0 ") && m.Type != string(alert.KindHeartbeat) && !retry; want != (m.Size > 0) {
			t.Errorf("of a %s that was answered %q %d bytes are kept", m.Type, m.Result, m.Size)
		}
	}
}

func TestUnsignedMessagesAreRefusedUnlessAllowed(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	p, id := ebm(t, "a1", nil)
	if m := w.send(t, p); m.Result.Code != alert.ResultSignature {
		t.Errorf("answered %+v", m.Result)
	}
	if a := must[store.Alert](t)(w.Store.Alert(t.Context(), id)); a.State != emergency.StateRefused || a.Why != string(emergency.ReasonUnsigned) {
		t.Errorf("%s, %s", a.State, a.Why)
	}
}

func TestAForgedMessageIsNotInTheRealOnesWay(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	p, id := ebm(t, "a1", nil)
	m := must[alert.Message](t)(alert.Parse(t.Context(), p.Tar, alert.Options{}))
	for _, c := range []struct {
		sig       emergency.Signature
		state     emergency.State
		duplicate bool
	}{
		{emergency.Signature{State: emergency.SignatureBad}, emergency.StateRefused, false},
		{emergency.Signature{State: emergency.SignatureAbsent}, emergency.StateRefused, true},
		{emergency.Signature{State: emergency.SignatureVerified, By: "province", Counter: 1}, emergency.StateWaiting, false},
		{emergency.Signature{State: emergency.SignatureBad}, emergency.StateWaiting, true},
	} {
		m.Alert.Signature = c.sig
		v := must[county.Verdict](t)(w.Take(t.Context(), county.Incoming{Alert: m.Alert, Raw: p.Tar, Source: county.FromEBD}))
		if v.State != c.state || v.Duplicate != c.duplicate {
			t.Errorf("signature %s: %+v", c.sig.State, v)
		}
	}
	eventually(t, "the real one arrives with its sound", func() bool { clip, _ := b.holds(id); return clip })
}

func TestACancelThatComesBeforeItsAlert(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	p, id := ebm(t, "a1", nil)
	cancel, _ := ebm(t, "c1", func(a *emergency.Alert) { a.Kind, a.Refs = emergency.KindCancel, []playlist.AlertID{id} })
	w.send(t, cancel)
	w.send(t, p)
	if s := w.state(t, id); s != emergency.StateCancelled {
		t.Errorf("state %s", s)
	}
	if _, ok := b.holds(id); ok {
		t.Error("it was sent out")
	}
}

func TestWhatAnUpdateOrACancelEnds(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(o *county.Options) {
		unsigned(o)
		o.Ingest = nil
	})
	for i, c := range []struct {
		name   string
		change func(*emergency.Alert)
		want   emergency.State
	}{
		{"an update that moves it elsewhere", func(a *emergency.Alert) { a.Areas = []playlist.Area{"341524100000"} }, emergency.StateCancelled},
		{"an update that ends it", func(a *emergency.Alert) {
			a.NotAfter = a.Sent.Add(-time.Minute)
			a.NotBefore = a.NotAfter.Add(-time.Minute)
		}, emergency.StateCancelled},
		{"a cancel", func(a *emergency.Alert) { a.Kind = emergency.KindCancel }, emergency.StateCancelled},
		{"an update that is a test", func(a *emergency.Alert) { a.Class = emergency.ClassTest }, emergency.StateWaiting},
		{"a cancel that is a test", func(a *emergency.Alert) { a.Kind, a.Class = emergency.KindCancel, emergency.ClassTest }, emergency.StateWaiting},
		{"a drill of the system", func(a *emergency.Alert) { a.Class = emergency.ClassDrillSystem }, emergency.StateWaiting},
		{"a drill's cancel", func(a *emergency.Alert) { a.Kind, a.Class = emergency.KindCancel, emergency.ClassDrillActual }, emergency.StateWaiting},
	} {
		p, id := ebm(t, fmt.Sprint("a", i), nil)
		w.send(t, p)
		p, _ = ebm(t, fmt.Sprint("b", i), func(a *emergency.Alert) {
			a.Kind, a.Refs = emergency.KindUpdate, []playlist.AlertID{id}
			c.change(a)
		})
		w.send(t, p)
		if s := w.state(t, id); s != c.want {
			t.Errorf("%s leaves it %s, want %s", c.name, s, c.want)
		}
	}
	_, raw := w.post(t, "/cap", "application/cap+xml", strings.NewReader(capXML("loud", string(townArea))))
	var v county.Verdict
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	// There is nothing in it, so it never sounds.
	text := strings.Replace(capXML("silent", string(townArea)), "<msgType>Alert</msgType><scope>Public</scope>",
		"<msgType>Update</msgType><scope>Public</scope><references>"+string(v.ID)+"</references>", 1)
	text = text[:strings.Index(text, "<info>")] + "</alert>"
	if s, raw := w.post(t, "/cap", "application/cap+xml", strings.NewReader(text)); s != http.StatusOK {
		t.Errorf("%d: %s", s, raw)
	}
	if s := w.state(t, v.ID); s != emergency.StateWaiting {
		t.Errorf("an empty update leaves it %s", s)
	}
}

// upstream is whoever stands above the county in the emergency system.
type upstream struct {
	sync.Mutex
	got []alert.Message
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, _, err := r.FormFile("file")
	if err != nil {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	raw, _ := io.ReadAll(f)
	m, err := alert.Parse(r.Context(), raw, alert.Options{})
	if err == nil {
		u.Lock()
		u.got = append(u.got, m)
		u.Unlock()
	}
	p, _ := alert.Respond(alert.EBD{ID: "1", From: "2", Time: time.Now(), Related: m.EBD.ID}, alert.Result{Code: alert.ResultReceived}, alert.Sign{})
	_, _ = w.Write(p.Tar)
}

func (u *upstream) last(k alert.Kind) (m alert.Message, n int) {
	u.Lock()
	defer u.Unlock()
	for _, g := range u.got {
		if g.Kind == k {
			m = g
			n++
		}
	}
	return m, n
}

func TestStatesAndHeartbeatsGoUpstreamAsMeasured(t *testing.T) {
	up := &upstream{}
	srv := httptest.NewServer(up)
	t.Cleanup(srv.Close)
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		unsigned(c)
		c.EBD.Upstream, c.EBD.To, c.EBD.Heartbeat = srv.URL, "634000000000000001", 50*time.Millisecond
	})
	b := w.enrol(t, village, nil, speaker("村口", village, 420), speaker("村东", village, 80))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	eventually(t, "heartbeats", func() bool { _, n := up.last(alert.KindHeartbeat); return n > 2 })
	for _, m := range must[[]store.EBD](t)(w.Store.EBDs(t.Context(), 2)) {
		if m.Type != string(alert.KindHeartbeat) || m.Size > 0 {
			t.Errorf("%s, of which %d bytes are kept", m.Type, m.Size)
		}
	}
	p, id := ebm(t, "a1", nil)
	w.send(t, p)
	eventually(t, "it arrives", func() bool { _, ok := b.holds(id); return ok })
	b.sounded(id, "村口", 420, asrun.Complete)
	eventually(t, "the state goes up", func() bool { _, n := up.last(alert.KindStateResponse); return n > 0 })
	m, _ := up.last(alert.KindStateResponse)
	if m.State.EBM != id || m.State.Code != alert.BrdAiring || m.State.Coverage == nil || m.State.Coverage.Rate != 0.84 || m.State.Coverage.Stat != [4]int{1, 1, 0, 1} {
		t.Errorf("%+v %+v", m.State, m.State.Coverage)
	}
	if !strings.Contains(m.State.Desc, "420/500") {
		t.Errorf("the formula is not told: %s", m.State.Desc)
	}

	w.shift.Store(int64(10 * time.Second))
	b.sounded(id, "村东", 80, asrun.Complete)
	eventually(t, "the figures go up", func() bool {
		m, _ := up.last(alert.KindStateResponse)
		return m.State.Code == alert.BrdAiring && strings.Contains(m.State.Desc, "500/500")
	})
	b.mu.Lock()
	b.health.Alerts = []link.AlertProgress{{ID: id, State: string(emergency.StateDone)}}
	b.mu.Unlock()
	eventually(t, "it tells that its passes are over", func() bool {
		all := must[[]store.Target](t)(w.Store.Targets(t.Context(), id))
		return all[0].State == emergency.StateDone
	})
	w.shift.Store(int64(2 * time.Minute))
	eventually(t, "the sender is told so before the alert ends", func() bool {
		m, _ := up.last(alert.KindStateResponse)
		return m.State.Code == alert.BrdDone && strings.Contains(m.State.Desc, "500/500")
	})
	if w.state(t, id).Over() {
		t.Error("the alert is no longer in force")
	}
}

func TestRowsThatComeAfterTheEndAreToldToo(t *testing.T) {
	up := &upstream{}
	srv := httptest.NewServer(up)
	t.Cleanup(srv.Close)
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		unsigned(c)
		c.EBD.Upstream, c.EBD.To = srv.URL, "634000000000000001"
	})
	b := w.enrol(t, village, nil, speaker("村口", village, 420), speaker("村东", village, 80))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	p, id := ebm(t, "a1", nil)
	w.send(t, p)
	eventually(t, "it arrives", func() bool { _, ok := b.holds(id); return ok })
	must[county.Verdict](t)(w.CancelByHand(t.Context(), id))
	told := func(figures string) func() bool {
		return func() bool {
			m, _ := up.last(alert.KindStateResponse)
			return m.State.Code == alert.BrdCancelled && strings.Contains(m.State.Desc, figures)
		}
	}
	eventually(t, "its end is told", told("0/500"))
	w.shift.Store(int64(time.Minute))
	b.sounded(id, "村口", 420, asrun.Complete)
	eventually(t, "so is what had sounded by then", told("420/500"))
	if s := w.state(t, id); s != emergency.StateCancelled {
		t.Errorf("it is %s", s)
	}
	eventually(t, "that was acknowledged", func() bool { return must[store.Alert](t)(w.Store.Alert(t.Context(), id)).Owed.IsZero() })

	w.shift.Store(int64(48 * time.Hour))
	b.sounded(id, "村东", 80, asrun.Complete)
	eventually(t, "more comes in", func() bool { return b.unsent() == 0 })
	w.die()
	if err := county.SettleNow(t.Context(), w.County); err != nil {
		t.Fatal(err)
	}
	w.Wait()
	up.Lock()
	defer up.Unlock()
	for _, m := range up.got {
		if strings.Contains(m.State.Desc, "500/500") {
			t.Errorf("what came days later is told: %s", m.State.Desc)
		}
	}
}

func TestAStateIsToldOnlyWhereTheOperatorWouldHaveIt(t *testing.T) {
	request := func(url string) []byte {
		return []byte(`<?xml version="1.0" encoding="UTF-8"?><EBD><EBDVersion>1.0</EBDVersion><EBDID>q1</EBDID><EBDType>EBMStateRequest</EBDType><SRC><EBRID>1</EBRID>` +
			url + `</SRC><DEST><EBRID>2</EBRID></DEST><EBDTime>2026-11-27 08:00:00</EBDTime><EBMStateRequest><EBM><EBMID>x</EBMID></EBM></EBMStateRequest></EBD>`)
	}
	for _, c := range []struct {
		name                        string
		upstream, unsigned, partner bool
		says                        string // where he is: his address, if it is he
		code                        alert.ResultCode
		toUpstream, toHim           int
	}{
		{"a stranger's", false, false, false, "/", alert.ResultSignature, 0, 0},
		{"a stranger's in the name of a partner", false, false, true, "/", alert.ResultSignature, 0, 0},
		{"a stranger's, with an upstream", true, false, false, "/", alert.ResultSignature, 0, 0},
		{"one that is believed, from anywhere", false, true, false, "/", alert.ResultOther, 0, 0},
		{"one that is believed, from a partner", false, true, true, "/", alert.ResultReceived, 0, 1},
		{"one that is believed, from elsewhere on a partner's machine", false, true, true, "/admin", alert.ResultOther, 0, 0},
		{"one that is believed, with an upstream", true, true, false, "/", alert.ResultReceived, 1, 0},
		{"with an upstream, from nowhere", true, true, false, "", alert.ResultReceived, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			up, him := &upstream{}, &upstream{}
			there, his := httptest.NewServer(up), httptest.NewServer(him)
			t.Cleanup(there.Close)
			t.Cleanup(his.Close)
			w := newWorld(t, t.TempDir(), func(k *county.Options) {
				if c.unsigned {
					unsigned(k)
				}
				if c.upstream {
					k.EBD.Upstream = there.URL
				}
				if c.partner {
					k.EBD.Partners = []string{his.URL + "/"}
				}
			})
			w.die()
			url := ""
			if c.says != "" {
				url = "<URL>" + his.URL + c.says + "</URL>"
			}
			m := must[alert.Message](t)(alert.Parse(t.Context(), must[alert.Package](t)(w.TakeEBD(t.Context(), request(url), "peer")).Tar, alert.Options{}))
			w.Wait()
			_, n := up.last(alert.KindStateResponse)
			_, direct := him.last(alert.KindStateResponse)
			if m.Result.Code != c.code || n != c.toUpstream || direct != c.toHim {
				t.Errorf("answered %+v; %d states upstream, %d to him", m.Result, n, direct)
			}
		})
	}
}

// capXML is a CAP message for the town.
func capXML(id, area string) string {
	now := time.Now().In(shanghai)
	return `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>` + id + `</identifier><sender>met@example.cn</sender><sent>` + now.Format("2006-01-02T15:04:05-07:00") + `</sent>
<status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
<info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>
<expires>` + now.Add(time.Hour).Format("2006-01-02T15:04:05-07:00") + `</expires><description>暴雨预警</description>
<area><areaDesc>town</areaDesc><geocode><valueName>areaCode</valueName><value>` + area + `</value></geocode></area></info></alert>`
}

func TestCAPComesByPostAndByFeed(t *testing.T) {
	var asked, unchanged int
	var mu sync.Mutex
	feed := http.NewServeMux()
	feed.HandleFunc("/feed.xml", func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		tag := hex.EncodeToString([]byte("v1"))
		if r.Header.Get("If-None-Match") == tag {
			unchanged++
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		rw.Header().Set("ETag", tag)
		_, _ = io.WriteString(rw, `<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>t</title><updated>2026-11-25T00:00:00Z</updated>
<entry><id>e1</id><title>t</title><updated>2026-11-25T00:00:00Z</updated><link type="application/cap+xml" href="/one.xml"/></entry></feed>`)
	})
	feed.HandleFunc("/one.xml", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, capXML("feed1", string(townArea)))
	})
	srv := httptest.NewServer(feed)
	t.Cleanup(srv.Close)
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		unsigned(c)
		c.Alerts.Feeds = []county.Feed{{URL: srv.URL + "/feed.xml", Every: 20 * time.Millisecond}}
	})
	eventually(t, "the feed's message is taken", func() bool {
		all := must[[]store.Alert](t)(w.Store.Alerts(t.Context(), 10))
		return len(all) == 1 && all[0].Identifier == "feed1" && all[0].Source == county.FromFeed && all[0].Level == emergency.Orange
	})
	eventually(t, "it is asked by its tag", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return unchanged > 2 && asked == unchanged+1
	})
	post := func(text string) int {
		status, _ := w.post(t, "/cap", "application/cap+xml", strings.NewReader(text))
		return status
	}
	if s := post(capXML("posted", string(townArea))); s != http.StatusOK {
		t.Errorf("posted: %d", s)
	}
	if s := post("<nonsense/>"); s != http.StatusBadRequest {
		t.Errorf("nonsense: %d", s)
	}
	if all := must[[]store.Alert](t)(w.Store.Alerts(t.Context(), 10)); len(all) != 2 {
		t.Errorf("%d alerts", len(all))
	}
}

// The county judges age, life and shapes as a pole does, by the same functions, and
// what it passes on has its end.
func TestACountyJudgesWhatIsOldLateOrBroken(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(c *county.Options) { unsigned(c); c.Alerts.Unsigned = append(c.Alerts.Unsigned, county.FromCAP) })
	w.freeze()
	now := w.clock().In(shanghai).Truncate(time.Second)
	stamp := func(at time.Time) string { return at.Format("2006-01-02T15:04:05-07:00") }
	element := func(name, text string) string { return "<" + name + ">" + text + "</" + name + ">" }
	broken := strings.NewReplacer("<geocode>", "<circle>31.4</circle><geocode>")
	for _, c := range []struct {
		name            string
		sent, effective time.Time // effective and expires: zero: left out
		expires         time.Time
		change          *strings.Replacer
		state           emergency.State
		why             emergency.Reason
		late            bool
		ends            time.Time
	}{
		{"fresh", now.Add(-time.Minute), time.Time{}, time.Time{}, nil, emergency.StateWaiting, "", false, now.Add(59 * time.Minute)},
		{"of five years ago", now.AddDate(-5, 0, 0), time.Time{}, time.Time{}, nil, emergency.StateRefused, emergency.ReasonExpired, false, now.AddDate(-5, 0, 0).Add(time.Hour)},
		{"late", now.Add(-3 * time.Hour), time.Time{}, time.Time{}, nil, emergency.StateWaiting, "", true, w.clock().Add(time.Hour)},
		{"for a year", now, time.Time{}, now.AddDate(1, 0, 0), nil, emergency.StateWaiting, "", false, w.clock().Add(30 * 24 * time.Hour)},
		{"it ends before it begins", now, now.Add(2 * time.Hour), now.Add(time.Hour), nil, emergency.StateRefused, emergency.ReasonNever, false, now.Add(time.Hour)},
		{"with a broken circle", now, time.Time{}, now.Add(time.Hour), broken, emergency.StateWaiting, "", false, now.Add(time.Hour)},
	} {
		text := capXML("judged", string(townArea))
		head, rest, _ := strings.Cut(text, "<sent>")
		_, rest, _ = strings.Cut(rest, "</sent>")
		text = head + element("sent", stamp(c.sent)) + rest
		head, rest, _ = strings.Cut(text, "<expires>")
		_, rest, _ = strings.Cut(rest, "</expires>")
		if !c.effective.IsZero() {
			head += element("effective", stamp(c.effective))
		}
		if !c.expires.IsZero() {
			head += element("expires", stamp(c.expires))
		}
		text = strings.Replace(head+rest, "judged", strings.ReplaceAll(c.name, " ", "_"), 1)
		if c.change != nil {
			text = c.change.Replace(text)
		}
		if status, raw := w.post(t, "/cap", "application/cap+xml", strings.NewReader(text)); status != http.StatusOK {
			t.Fatalf("%s: %d %s", c.name, status, raw)
		}
		all := must[[]store.Alert](t)(w.Store.Alerts(t.Context(), 20))
		i := slices.IndexFunc(all, func(a store.Alert) bool { return a.Identifier == strings.ReplaceAll(c.name, " ", "_") })
		if i < 0 {
			t.Fatalf("%s is not kept", c.name)
		}
		a := all[i]
		if a.State != c.state || a.Why != string(c.why) || a.Detail.Late != c.late || a.Ends.Sub(c.ends).Abs() > time.Second {
			t.Errorf("%s: %s (%s), late %v, ends %v; want %s (%s), %v, %v", c.name, a.State, a.Why, a.Detail.Late, a.Ends, c.state, c.why, c.late, c.ends)
		}
	}
}

// web is what stands at the other end of a client, without sockets.
type web func(http.ResponseWriter, *http.Request)

func (f web) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w, r)
	return w.Result(), nil
}

func TestADeadLinkDoesNotHoldUpItsFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		const elsewhere = "341524100000" // kept, and not to be sounded
		var mu sync.Mutex
		var entries []string
		dead, unchanged := 0, 0
		add := func(names ...string) {
			mu.Lock()
			defer mu.Unlock()
			entries = append(entries, names...)
		}
		asked := func() (deadLink, byTag int) {
			mu.Lock()
			defer mu.Unlock()
			return dead, unchanged
		}
		feed := func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			since := time.Since(start)
			switch name := strings.Trim(r.URL.Path, "/"); {
			case name == "feed":
				tag := fmt.Sprint(len(entries))
				if r.Header.Get("If-None-Match") == tag {
					unchanged++
					rw.WriteHeader(http.StatusNotModified)
					return
				}
				rw.Header().Set("ETag", tag)
				_, _ = io.WriteString(rw, `<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>t</title><updated>2026-11-25T00:00:00Z</updated>`)
				for _, e := range entries {
					_, _ = fmt.Fprintf(rw, `<entry><id>%s</id><title>t</title><updated>2026-11-25T00:00:00Z</updated><link type="application/cap+xml" href="/%s"/></entry>`, e, e)
				}
				_, _ = io.WriteString(rw, `</feed>`)
			case name == "dead":
				dead++
				rw.WriteHeader(http.StatusNotFound)
			case name == "late" && since < 3*time.Minute:
				rw.WriteHeader(http.StatusNotFound)
			case name == "busy" && since < 2*time.Hour:
				rw.WriteHeader(http.StatusServiceUnavailable)
			default:
				_, _ = io.WriteString(rw, capXML(name, elsewhere))
			}
		}
		st := must[*store.Store](t)(store.Open(t.Context(), store.Options{Dir: t.TempDir(), Zone: shanghai, Log: quiet()}))
		var log strings.Builder
		c := county.New(county.Options{
			Name: "舒城县融媒体中心", Area: countyArea, Zone: shanghai, Store: st, Log: slog.New(slog.NewTextHandler(&log, nil)),
			EBD: county.EBD{Client: &http.Client{Transport: web(feed)}},
		})
		ctx, stop := context.WithCancel(t.Context())
		var poll sync.WaitGroup
		taken := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if all := must[[]store.Alert](t)(st.Alerts(t.Context(), 10)); len(all) != want {
				t.Errorf("after %v %d messages of %d are taken", time.Since(start), len(all), want)
			}
		}
		add("dead", "one", "late", "busy")
		poll.Go(func() { county.Poll(c, ctx, county.Feed{URL: "http://feed/feed"}) })
		taken(4*time.Minute+time.Second, 2)
		add("two")
		taken(time.Minute, 3)
		taken(2*time.Hour, 4)
		tries, before := asked()
		taken(10*time.Minute, 4)
		if after, byTag := asked(); tries != 10 || after != tries || byTag-before < 9 {
			t.Errorf("the dead link was tried %d times, the feed asked by its tag %d times in ten minutes", after, byTag-before)
		}
		add("three")
		taken(time.Minute, 5)
		stop()
		poll.Wait()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(log.String(), "silent") || strings.Contains(log.String(), "did not answer") {
			t.Errorf("the feed is blamed:\n%s", log.String())
		}
	})
}

func TestACountyThatDiesOverAnAlertTakesItUpAgain(t *testing.T) {
	dir := t.TempDir()
	st := must[*store.Store](t)(store.Open(t.Context(), store.Options{Dir: dir, Zone: shanghai, Log: quiet()}))
	now := time.Now().UTC()
	_, _, err := st.AddAlert(t.Context(), store.Alert{
		Alert: emergency.Alert{ID: "kept", Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red, Areas: []playlist.Area{townArea},
			NotAfter: now.Add(time.Hour), Sent: now, Texts: []emergency.Text{{Language: "zh-CN", Text: "撤离"}}},
		Received: now, Source: county.FromEBD, State: emergency.StateWaiting, Ends: now.Add(time.Hour),
		Detail: store.AlertDetail{Scopes: []playlist.Scope{playlist.AreaScope(townArea)}},
	}, emergency.Facts{Unsigned: true, Concerned: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, dir, nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	eventually(t, "who comes later hears of it", func() bool { _, ok := b.holds("kept"); return ok })
}

func TestTheAPIOpensToATokenOrALogin(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	if err := w.Store.SetAdmin(t.Context(), "admin", "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	ask := func(token string) int {
		r := must[*http.Request](t)(http.NewRequest("GET", w.http.URL+"/api/fleet", nil))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp := must[*http.Response](t)(w.http.Client().Do(r))
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	var out struct{ Token string }
	if s := w.call(t, "POST", "/api/login", nil, county.Login{Name: "admin", Password: "wrong"}, &out); s != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", s)
	}
	if s := w.call(t, "POST", "/api/login", nil, county.Login{Name: "nobody", Password: ""}, &out); s != http.StatusUnauthorized {
		t.Errorf("a wrong name: %d", s)
	}
	w.call(t, "POST", "/api/login", nil, county.Login{Name: "admin", Password: "correct horse battery"}, &out)
	for _, c := range []struct {
		name, token string
		want        int
	}{
		{"nothing", "", http.StatusUnauthorized},
		{"a guess", "guess", http.StatusUnauthorized},
		{"the token", "secret", http.StatusOK},
		{"a session", out.Token, http.StatusOK},
	} {
		if s := ask(c.token); s != c.want {
			t.Errorf("%s: %d, want %d", c.name, s, c.want)
		}
	}
	w.shift.Store(int64(24 * time.Hour))
	_ = w.Store.Logout(t.Context(), out.Token)
	if s := ask(out.Token); s != http.StatusUnauthorized {
		t.Errorf("after logout: %d", s)
	}
}

// Two replicas share a store: what one has said the other repeats, should the
// first end.
func TestAReplicaRepeatsWhatAnotherHasSaid(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	second := county.New(county.Options{Name: w.Name, Area: w.Area, Zone: w.Zone, Store: w.Store, Log: quiet(), Now: w.Now, Keys: w.Keys, Authority: w.Authority})
	standing := func() (version int64, until time.Time) {
		if err := county.SettleNow(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		for _, s := range must[[]link.Standing](t)(second.Standing(t.Context())) {
			if s.Scope == playlist.AreaScope(village) && len(s.Raw) > 0 {
				version, until = s.Version, s.Until
			}
		}
		return version, until
	}
	if v, _ := standing(); v != 0 {
		t.Errorf("before anything was said: version %d", v)
	}
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{
		Text: "预警", Level: emergency.Blue, Scopes: []playlist.Scope{playlist.AreaScope(village)}, Audio: course(t), AudioName: "a.mp3",
	}, false))
	eventually(t, "it arrives with its clip", func() bool { clip, _ := b.holds(v.ID); return clip })
	said, until := standing()
	if said < 2 || !until.After(time.Now()) {
		t.Errorf("the second knows version %d, until %v", said, until)
	}
	must[county.Verdict](t)(w.CancelByHand(t.Context(), v.ID))
	if after, u := standing(); after <= said || !u.Equal(until) {
		t.Errorf("after the cancel of version %d it knows version %d, until %v; want %v", said, after, u, until)
	}
	w.shift.Store(int64(2 * time.Hour))
	if v, _ := standing(); v != 0 {
		t.Errorf("what is over is kept: version %d", v)
	}
}

func TestAnAlertGoesOnWhenItsReplicaDies(t *testing.T) {
	up := &upstream{}
	srv := httptest.NewServer(up)
	t.Cleanup(srv.Close)
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		unsigned(c)
		c.EBD.Upstream, c.EBD.To = srv.URL, "634000000000000001"
	})
	second, _ := w.replica(t)
	_, _ = w.replica(t) // what falls due by itself two of them do
	b := w.enrol(t, village, nil, speaker("村口", village, 420), speaker("村东", village, 80))
	eventually(t, "it is seen", func() bool { return online(t, w, b.id) })
	w.freeze() // else what a slow machine acknowledges late would be reported twice
	p, id := ebm(t, "a1", nil)
	w.send(t, p)
	eventually(t, "it arrives with its sound", func() bool { clip, _ := b.holds(id); return clip })
	scope := playlist.AreaScope(townArea)
	eventually(t, "the other replica repeats it", func() bool {
		all := must[[]link.Standing](t)(second.Standing(t.Context()))
		return len(all) == 1 && all[0].Scope == scope && all[0].Version == b.has(link.KindAlerts, scope)
	})
	b.sounded(id, "村口", 420, asrun.Complete)
	eventually(t, "its state goes up", func() bool { m, _ := up.last(alert.KindStateResponse); return m.State.Code == alert.BrdAiring })

	w.die()
	w.shift.Add(int64(10 * time.Second)) // figures are not told more often than that
	b.sounded(id, "村东", 80, asrun.Complete)
	eventually(t, "what is new goes up as well", func() bool {
		m, _ := up.last(alert.KindStateResponse)
		return strings.Contains(m.State.Desc, "500/500")
	})
	if m := must[alert.Message](t)(alert.Parse(t.Context(), must[alert.Package](t)(second.TakeEBD(t.Context(), p.Tar, "peer")).Tar, alert.Options{})); m.Result.Code != alert.ResultReceived {
		t.Errorf("a retry with the other replica is answered %+v", m.Result)
	}
	update, updated := ebm(t, "u1", func(a *emergency.Alert) { a.Kind, a.Refs = emergency.KindUpdate, []playlist.AlertID{id} })
	must[alert.Package](t)(second.TakeEBD(t.Context(), update.Tar, "peer"))
	eventually(t, "it is updated", func() bool {
		_, old := b.holds(id)
		_, ok := b.holds(updated)
		return ok && !old
	})
	eventually(t, "its sender has acknowledged that", func() bool { return must[store.Alert](t)(w.Store.Alert(t.Context(), id)).Owed.IsZero() })
	w.shift.Store(int64(2 * time.Hour))
	eventually(t, "the update is over", func() bool { return w.state(t, updated) == emergency.StateFailed })
	eventually(t, "it is taken back", func() bool { _, ok := b.holds(updated); return !ok })
	eventually(t, "that goes up", func() bool {
		m, _ := up.last(alert.KindStateResponse)
		return m.State.EBM == updated && m.State.Code == alert.BrdFailed
	})
	up.Lock()
	defer up.Unlock()
	known := map[string]bool{}
	for _, m := range up.got {
		key := fmt.Sprint(m.State.EBM, m.State.Code, m.State.Desc)
		if known[key] {
			t.Errorf("reported twice: %s", key)
		}
		known[key] = true
	}
}

func TestAReplicaSaysWhatAnotherDiedOver(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	h := county.ByHand{Audio: course(t), AudioName: "a.mp3"}
	now := time.Now().UTC()
	a := store.Alert{
		Alert: emergency.Alert{ID: "unsaid", Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red, Areas: []playlist.Area{townArea}, Sent: now},
		// Long enough ago that nobody can be at its sound any more.
		Received: now.Add(-time.Hour), Source: county.FromHand, State: emergency.StateWaiting, Ends: now.Add(time.Hour),
		Raw: must[[]byte](t)(json.Marshal(h)), Detail: store.AlertDetail{Scopes: []playlist.Scope{playlist.AreaScope(townArea)}},
	}
	if _, _, err := w.Store.AddAlert(t.Context(), a, emergency.Facts{Vouched: true, Concerned: true}, nil); err != nil {
		t.Fatal(err)
	}
	// Whoever kept it is given time to say it, by the county's clock.
	later := func(ok func() bool) func() bool {
		return func() bool { w.shift.Add(int64(50 * time.Millisecond)); return ok() }
	}
	eventually(t, "what was kept and not said is said, with its sound", later(func() bool { clip, _ := b.holds(a.ID); return clip }))
	if _, err := w.Store.ChangeAlert(t.Context(), a.ID, func(a *store.Alert) bool { a.State = emergency.StateCancelled; return true }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "so is its end", later(func() bool { _, ok := b.holds(a.ID); return !ok }))
}

// Replicas may each have a folder for clips.
func TestAnAlertIsSaidWhereItsClipIsNot(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	h := county.ByHand{Text: "预警", Level: emergency.Blue, Scopes: []playlist.Scope{playlist.AreaScope(village)}, Audio: course(t), AudioName: "a.mp3"}
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), h, false))
	eventually(t, "it arrives with its clip", func() bool { clip, _ := b.holds(v.ID); return clip })
	clip := must[store.Alert](t)(w.Store.Alert(t.Context(), v.ID)).Detail.Clip
	path := w.Store.ClipPath(clip.ID)

	for _, gone := range []func() error{func() error { return nil }, func() error { return os.Remove(path) }} {
		if err := gone(); err != nil {
			t.Fatal(err)
		}
		other := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{Text: "另一条", Level: emergency.Blue, Scopes: h.Scopes}, false))
		eventually(t, "another of its scope arrives beside it", func() bool {
			_, ok := b.holds(other.ID)
			clip, _ := b.holds(v.ID)
			return ok && clip
		})
	}
}

func TestAReplicaKeepsTheClipsOfAlertsThatItHears(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	h := county.ByHand{Text: "预警", Level: emergency.Blue, Scopes: []playlist.Scope{playlist.AreaScope(village)}, Audio: course(t), AudioName: "a.mp3"}
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), h, false))
	eventually(t, "it arrives with its clip", func() bool { clip, _ := b.holds(v.ID); return clip })
	clip := *must[store.Alert](t)(w.Store.Alert(t.Context(), v.ID)).Detail.Clip
	path := w.Store.ClipPath(clip.ID)
	before := must[[]byte](t)(os.ReadFile(path))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second := county.New(county.Options{Name: w.Name, Area: w.Area, Zone: w.Zone, Store: w.Store, Log: quiet(), Now: w.Now, Keys: w.Keys})
	if err := county.SettleNow(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if after := must[[]byte](t)(os.ReadFile(path)); !bytes.Equal(before, after) {
		t.Errorf("it has %d bytes of %d", len(after), len(before))
	}
}

// What the sender of an alert did not acknowledge is said again, by whichever
// replica is there, until he does.
func TestTheFinalStateReachesASenderWhoWasAway(t *testing.T) {
	up := &upstream{}
	away := true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if up.Lock(); away {
			up.Unlock()
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		up.Unlock()
		up.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		unsigned(c)
		c.EBD.Upstream = srv.URL
	})
	w.die()
	w.freeze() // else it would fall due by itself on a slow machine
	w.alone()
	p, over := ebm(t, "a1", nil)
	must[alert.Package](t)(w.TakeEBD(t.Context(), p.Tar, "peer"))
	p, cancelled := ebm(t, "b1", nil)
	must[alert.Package](t)(w.TakeEBD(t.Context(), p.Tar, "peer"))
	must[county.Verdict](t)(w.CancelByHand(t.Context(), cancelled))
	w.shift.Store(int64(2 * time.Hour))
	settle := func(c *county.County) {
		t.Helper()
		if err := county.SettleNow(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		c.Wait()
	}
	settle(w.County)
	if log := must[[]store.EBD](t)(w.Store.EBDs(t.Context(), 100)); !slices.ContainsFunc(log, func(m store.EBD) bool { return strings.Contains(m.Result, "502") }) {
		t.Errorf("nothing failed: %+v", log)
	}

	second := county.New(county.Options{Name: w.Name, Area: w.Area, Zone: w.Zone, Store: w.Store, Log: quiet(), Now: w.Now, Keys: w.Keys, Alerts: w.Alerts, EBD: w.EBD})
	up.Lock()
	away = false
	up.Unlock()
	settle(second)
	if _, n := up.last(alert.KindStateResponse); n != 0 {
		t.Errorf("%d reports at once", n)
	}
	for _, at := range []time.Duration{time.Minute, time.Hour, 10 * time.Hour, 40 * time.Hour} {
		w.shift.Store(int64(2*time.Hour + at))
		settle(second)
		settle(w.County)
	}
	up.Lock()
	defer up.Unlock()
	got := map[playlist.AlertID]alert.BrdState{}
	for _, m := range up.got {
		got[m.State.EBM] = m.State.Code
	}
	if want := map[playlist.AlertID]alert.BrdState{over: alert.BrdFailed, cancelled: alert.BrdCancelled}; !maps.Equal(got, want) || len(up.got) != len(want) {
		t.Errorf("%d reports, of %v; want %v", len(up.got), got, want)
	}
}

// meanwhile is what another replica does between two questions of this one to
// the store, once.
type meanwhile struct{ version, inForce func() }

// between is the store of the documents, and of the course of alerts, with that.
type (
	betweenVersions struct {
		county.Envelopes
		*meanwhile
	}
	betweenAlerts struct {
		county.CourseStore
		*meanwhile
	}
)

func (m betweenVersions) NextVersion(ctx context.Context, kind link.Kind, scope playlist.Scope) (int64, error) {
	v, err := m.Envelopes.NextVersion(ctx, kind, scope)
	if f := m.version; f != nil {
		m.version = nil
		f()
	}
	return v, err
}

func (m betweenAlerts) AlertsInForce(ctx context.Context) ([]store.Alert, error) {
	all, err := m.CourseStore.AlertsInForce(ctx)
	if f := m.inForce; f != nil {
		m.inForce = nil
		f()
	}
	return all, err
}

func TestReplicasAreNotInEachOthersWay(t *testing.T) {
	up := &upstream{}
	srv := httptest.NewServer(up)
	t.Cleanup(srv.Close)
	w := newWorld(t, t.TempDir(), func(c *county.Options) {
		unsigned(c)
		c.EBD.Upstream = srv.URL
	})
	w.die() // nothing is put right by and by
	w.freeze()
	w.alone()
	second := county.New(county.Options{Name: w.Name, Area: w.Area, Zone: w.Zone, Store: w.Store, Log: quiet(), Now: w.Now, Keys: w.Keys, Alerts: w.Alerts, EBD: w.EBD})
	between := &meanwhile{}
	county.WithEnvelopes(w.County, func(own county.Envelopes) county.Envelopes { return betweenVersions{own, between} })
	county.WithCourseStore(w.County, func(own county.CourseStore) county.CourseStore { return betweenAlerts{own, between} })
	take := func(c *county.County, id string) {
		t.Helper()
		p, _ := ebm(t, id, nil)
		m := must[alert.Message](t)(alert.Parse(t.Context(), must[alert.Package](t)(c.TakeEBD(t.Context(), p.Tar, "peer")).Tar, alert.Options{}))
		if m.Result.Code != alert.ResultReceived {
			t.Errorf("answered %+v", m.Result)
		}
	}
	// No document says less than one below it: what it does not name is called
	// off.
	between.version = func() { take(second, "b1") }
	take(w.County, "a1")
	if between.version != nil {
		t.Fatal("the second came too late")
	}
	e := must[store.Envelope](t)(w.Store.Envelope(t.Context(), link.KindAlerts, playlist.AreaScope(townArea), 0))
	if n := len(strings.Fields(e.Note)); n != 2 {
		t.Errorf("version %d, the last, holds %d alerts of 2", e.Version, n)
	}

	// What one has ended no other moves on, nor is it told twice.
	w.shift.Store(int64(2 * time.Hour))
	cancelled := playlist.AlertID("6341523000000000001a1")
	between.inForce = func() {
		must[county.Verdict](t)(second.CancelByHand(t.Context(), cancelled))
		if err := county.SettleNow(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		second.Wait()
	}
	if err := county.SettleNow(t.Context(), w.County); err != nil {
		t.Fatal(err)
	}
	w.Wait()
	if s := w.state(t, cancelled); s != emergency.StateCancelled {
		t.Errorf("what was cancelled is %s", s)
	}
	if _, n := up.last(alert.KindStateResponse); n != 2 {
		t.Errorf("%d reports of 2 alerts that are over", n)
	}
	if e := must[store.Envelope](t)(w.Store.Envelope(t.Context(), link.KindAlerts, playlist.AreaScope(townArea), 0)); e.Note != "" {
		t.Errorf("version %d, the last, holds %s", e.Version, e.Note)
	}
}

func TestAlertsInForceAreSaidAnewWithAnotherAlertKey(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	scope := playlist.AreaScope(village)
	must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{Text: "预警", Level: emergency.Blue, Scopes: []playlist.Scope{scope}}, false))
	w.die()
	before := must[store.Envelope](t)(w.Store.Envelope(t.Context(), "alerts", scope, 0))
	w.Keys.Alert = w.replace(t, link.RoleAlert)

	again := county.New(county.Options{Name: w.Name, Area: w.Area, Zone: w.Zone, Store: w.Store, Log: quiet(), Now: w.Now, Keys: w.Keys})
	for range 2 {
		if err := county.SettleNow(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		w.shift.Add(int64(time.Minute))
	}
	e := must[store.Envelope](t)(w.Store.Envelope(t.Context(), "alerts", scope, 0))
	d, err := link.Open(e.Bytes, must[link.Trust](t)(again.Edge().Trust(t.Context())))
	if err != nil || e.Version <= before.Version || len(d.Alerts.Alerts) != 1 {
		t.Errorf("version %d after %d: %+v, %v", e.Version, before.Version, d.Alerts, err)
	}
}
