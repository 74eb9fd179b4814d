package county_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dalaba/alert"
	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// counted counts what it signs.
type counted struct {
	link.Signer
	n *atomic.Int64
}

func (c counted) Sign(msg []byte) ([]byte, error) {
	c.n.Add(1)
	return c.Signer.Sign(msg)
}

// silent has a county make no clips, and counts the documents of alerts that it
// seals.
func silent(sealed *atomic.Int64) func(*county.Options) {
	return func(c *county.Options) {
		unsigned(c)
		c.Ingest = nil
		c.Keys.Alert = counted{c.Keys.Alert, sealed}
	}
}

// noise is text that cannot be compressed.
func noise(characters int) string {
	r := rand.New(rand.NewPCG(1, uint64(characters)))
	b := make([]rune, characters)
	for i := range b {
		b[i] = rune(0x4e00 + r.IntN(20_000))
	}
	return string(b)
}

// hostile is an alert of level 4 for the town, taken as it is: as one would stand in
// the store that was accepted before there were bounds.
func hostile(id string, change func(*emergency.Alert)) county.Incoming {
	now := time.Now().UTC()
	a := emergency.Alert{
		ID: playlist.AlertID(id), Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Blue, Sender: "x", Sent: now,
		NotAfter: now.Add(time.Hour), Areas: []playlist.Area{townArea}, Texts: []emergency.Text{{Language: "zh-CN", Text: "注意"}},
	}
	if change != nil {
		change(&a)
	}
	return county.Incoming{Alert: a, Source: county.FromHand, Detail: store.AlertDetail{Scopes: []playlist.Scope{playlist.AreaScope(townArea)}}}
}

func red(id string) county.Incoming {
	return hostile(id, func(a *emergency.Alert) { a.Level = emergency.Red })
}

// ordered is the order of the town, as a controller reads it.
func (w *world) ordered(t *testing.T) link.AlertsState {
	t.Helper()
	trust := must[store.Envelope](t)(w.Store.Envelope(t.Context(), link.KindTrust, "", 0))
	e := must[store.Envelope](t)(w.Store.Envelope(t.Context(), link.KindAlerts, playlist.AreaScope(townArea), 0))
	d, err := link.Accept(e.Bytes, must[link.Trust](t)(link.AcceptTrust(trust.Bytes, nil)), playlist.Follower{ID: "x", Areas: []playlist.Area{village}},
		func(link.Kind, playlist.Scope) (h link.Have, ok bool) { return h, false })
	if err != nil || len(d.Faults) > 0 || len(d.Alerts.Alerts) > link.MaxAlerts {
		t.Fatalf("%v %v", err, d.Faults)
	}
	return *d.Alerts
}

func names(s link.AlertsState, id string) bool {
	return slices.ContainsFunc(s.Alerts, func(a link.AlertInForce) bool { return a.Alert.ID == playlist.AlertID(id) })
}

func TestNoAlertKeepsAnotherFromBeingSent(t *testing.T) {
	var sealed atomic.Int64
	w := newWorld(t, t.TempDir(), silent(&sealed))
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	good := w.clip(t, "clip1.mp3")
	broken := w.clip(t, "clip2.mp3")
	if err := os.WriteFile(filepath.Join(w.dir, "clips", string(broken.ID)+".mp3"), []byte("not that"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(id string, c playlist.Clip) county.Incoming {
		in := hostile(id, nil)
		in.Detail.Clip = &c
		return in
	}
	noFrames, nameless, gone, negative := good, good, good, good
	noFrames.Frames, nameless.ID, gone.ID, negative.Size = 0, "../x", playlist.ClipID(strings.Repeat("ab", 32)), -5
	longTitle := good
	longTitle.Title, longTitle.Tags = noise(300_000), []string{noise(300_000)}
	for n, c := range []struct {
		name string
		bad  []county.Incoming
		sent bool // it is sent too, as far as it can be
	}{
		{"a text of 1.2 MB", []county.Incoming{hostile("h", func(a *emergency.Alert) { a.Texts[0].Text = noise(400_000) })}, true},
		{"40 of moderate size", func() (all []county.Incoming) {
			for i := range 40 {
				all = append(all, hostile(fmt.Sprint("h", i), func(a *emergency.Alert) { a.Texts[0].Text = noise(20_000 + i) }))
			}
			return all
		}(), true},
		{"50 languages", []county.Incoming{hostile("h", func(a *emergency.Alert) {
			for i := range 50 {
				a.Texts = append(a.Texts, emergency.Text{Language: fmt.Sprint("x-", i), Title: noise(9000 + i), Text: noise(10_000 + i), Advice: noise(10_100 + i)})
			}
		})}, true},
		{"a polygon of 100,000 points", []county.Incoming{hostile("h", func(a *emergency.Alert) {
			r, s := rand.New(rand.NewPCG(1, 2)), emergency.Shape{}
			for range 100_000 {
				s.Points = append(s.Points, [2]float64{31 + r.Float64(), 117 + r.Float64()})
			}
			a.Shapes = []emergency.Shape{s}
		})}, true},
		{"thousands of references, areas and shapes", []county.Incoming{hostile("h", func(a *emergency.Alert) {
			r := rand.New(rand.NewPCG(1, 3))
			for i := range 9000 {
				a.Refs = append(a.Refs, playlist.AlertID(noise(100+i%7)+fmt.Sprint(i)))
				a.Areas = append(a.Areas, playlist.Area(fmt.Sprintf("341523100%03d", i%1000)))
				a.Shapes = append(a.Shapes, emergency.Shape{Points: [][2]float64{{r.Float64(), r.Float64()}}, RadiusKM: r.Float64()})
				a.Elsewhere = append(a.Elsewhere, noise(200+i%5))
			}
		})}, true},
		{"64 sounds with long names", []county.Incoming{hostile("h", func(a *emergency.Alert) {
			for i := range 64 {
				a.Audio = append(a.Audio, emergency.Audio{Name: noise(9000 + i), URI: noise(9100 + i), Digest: noise(9200 + i)})
			}
		})}, true},
		{"long words everywhere", []county.Incoming{hostile("h", func(a *emergency.Alert) {
			a.Event, a.EventCode, a.SenderName, a.Texts[0].Title, a.Texts[0].Language, a.Signature.By = noise(99_000), noise(99_001), noise(99_002), noise(99_003), noise(99_004), noise(99_005)
		})}, true},
		{"an ID of 1 MB", []county.Incoming{hostile("h"+noise(400_000), nil)}, false},
		{"a sender of 1 MB", []county.Incoming{hostile("h", func(a *emergency.Alert) { a.Sender = noise(400_000) })}, false},
		{"no ID", []county.Incoming{hostile("", nil)}, false},
		{"a clip without frames", []county.Incoming{with("h", noFrames)}, true},
		{"a clip without a name", []county.Incoming{with("h", nameless)}, true},
		{"a clip that is not here", []county.Incoming{with("h", gone)}, true},
		{"a clip of less than nothing", []county.Incoming{with("h", negative)}, true},
		{"a clip whose file is damaged", []county.Incoming{with("h", broken)}, true},
		{"a clip with a long title", []county.Incoming{with("h", longTitle)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, last := fmt.Sprintf("red %d first", n), fmt.Sprintf("red %d last", n)
			before := sealed.Load()
			take := func(in county.Incoming) {
				t.Helper()
				if _, err := w.Take(t.Context(), in); err != nil {
					t.Errorf("%.40s: %v", in.Alert.ID, err)
				}
			}
			take(red(first))
			for i, in := range c.bad {
				if in.Alert.ID != "" {
					c.bad[i].Alert.ID = playlist.AlertID(fmt.Sprint(n)) + in.Alert.ID
				}
				take(c.bad[i])
			}
			take(red(last))
			state := w.ordered(t)
			if !names(state, first) || !names(state, last) {
				t.Fatal("a red alert is not in the order")
			}
			if id := string(c.bad[0].Alert.ID); names(state, id) != c.sent {
				t.Errorf("the other is in the order: %v", !c.sent)
			} else if all := must[county.AlertAccount](t)(w.account(t, id)); !c.sent && (len(all.Short) != 1 || !all.Short[0].Unsent) {
				t.Errorf("nothing tells that it is not sent: %+v", all.Short)
			}
			eventually(t, "a controller has it", func() bool { _, ok := b.holds(playlist.AlertID(last)); return ok })
			if n := sealed.Load() - before; n > int64(len(c.bad)+2) {
				t.Errorf("%d seals for %d messages", n, len(c.bad)+2)
			}
			for _, id := range []string{first, last} {
				must[county.Verdict](t)(w.CancelByHand(t.Context(), playlist.AlertID(id)))
			}
			for _, in := range c.bad {
				must[county.Verdict](t)(w.CancelByHand(t.Context(), in.Alert.ID))
			}
			if state := w.ordered(t); len(state.Alerts) > 0 {
				t.Errorf("%d are left", len(state.Alerts))
			}
		})
	}
}

func (w *world) account(t *testing.T, id string) (a county.AlertAccount, err error) {
	t.Helper()
	if id == "" { // the API asks for one
		a.Short = []county.Shortfall{{Unsent: true}}
		return a, nil
	}
	if len(id) > 10_000 { // no request is that long
		for _, v := range must[[]county.Listed](t)(w.listed(t)) {
			if string(v.ID) == id {
				a.Short = v.Short
			}
		}
		return a, nil
	}
	w.call(t, "GET", "/api/account", url.Values{"id": {id}}, nil, &a)
	return a, nil
}

func (w *world) listed(t *testing.T) (all []county.Listed, err error) {
	t.Helper()
	w.call(t, "GET", "/api/alerts", url.Values{"n": {"500"}}, nil, &all)
	return all, nil
}

func TestTheForemostAreSentAndTheOthersWaitForRoom(t *testing.T) {
	var sealed atomic.Int64
	w := newWorld(t, t.TempDir(), silent(&sealed))
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	const all = 200
	for i := range all {
		v := must[county.Verdict](t)(w.Take(t.Context(), hostile(fmt.Sprintf("blue %03d", i), nil)))
		if unsent := len(v.Short) == 1 && v.Short[0].Unsent; unsent != (i >= link.MaxAlerts) {
			t.Fatalf("the verdict on the %dth: %+v", i+1, v.Short)
		}
	}
	if n := sealed.Load(); n != link.MaxAlerts {
		t.Errorf("%d orders for %d alerts, of which %d have room", n, all, link.MaxAlerts)
	}
	if v := must[county.Verdict](t)(w.Take(t.Context(), red("red"))); len(v.Short) > 0 {
		t.Errorf("the red one: %+v", v.Short)
	}
	state := w.ordered(t)
	if len(state.Alerts) != link.MaxAlerts || !names(state, "red") || !names(state, "blue 062") || names(state, "blue 063") {
		t.Fatalf("%d alerts, with the red one: %v", len(state.Alerts), names(state, "red"))
	}
	eventually(t, "a controller has the red one", func() bool { _, ok := b.holds("red"); return ok })
	var s county.CountyStatus
	w.call(t, "GET", "/api/status", nil, nil, &s)
	if s.Alerts != all+1 || s.Unsent != all+1-link.MaxAlerts {
		t.Errorf("%d alerts, %d unsent", s.Alerts, s.Unsent)
	}
	for i := range 30 { // what is over is not listed before what is in force
		over := hostile(fmt.Sprint("over ", i), nil)
		over.Alert.NotAfter = time.Now().Add(-time.Minute)
		must[county.Verdict](t)(w.Take(t.Context(), over))
	}
	for _, n := range []int{0, 20, all + 5} {
		var listed []county.Listed
		w.call(t, "GET", "/api/alerts", url.Values{"n": {fmt.Sprint(n)}}, nil, &listed)
		unsent := 0
		for unsent < len(listed) && len(listed[unsent].Short) > 0 {
			unsent++
		}
		if unsent != s.Unsent || len(listed) != max(n, all+1) || listed[unsent].ID != "red" || listed[all].State.Over() {
			t.Errorf("the first %d of %d listed are unsent, if %d are asked for", unsent, len(listed), n)
		}
	}

	// What is left out on purpose is nothing to mend, here or at a replica.
	c, _ := w.replica(t)
	settle := func() {
		for range 3 {
			w.shift.Add(int64(31 * time.Second))
			for _, c := range []*county.County{w.County, c} {
				if err := county.SettleNow(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	settle()
	before, version := sealed.Load(), w.ordered(t).Version
	settle()
	if n := sealed.Load() - before; n > 0 {
		t.Errorf("it was sealed %d times more", n)
	}
	// One that had no place ends: nothing is new.
	must[county.Verdict](t)(w.CancelByHand(t.Context(), "blue 150"))
	if v := w.ordered(t).Version; v != version {
		t.Errorf("version %d, after %d", v, version)
	}
	// One that had a place ends: the next takes it.
	must[county.Verdict](t)(w.CancelByHand(t.Context(), "blue 010"))
	if state := w.ordered(t); names(state, "blue 010") || !names(state, "blue 063") || names(state, "blue 064") || len(state.Alerts) != link.MaxAlerts {
		t.Error("the room is not used")
	}
	eventually(t, "a controller has it", func() bool { _, ok := b.holds("blue 063"); return ok })
	if acc := must[county.AlertAccount](t)(w.account(t, "blue 063")); len(acc.Short) > 0 {
		t.Errorf("it is still told as unsent: %+v", acc.Short)
	}
}

// An update has the rank of what it takes the place of.
func TestAnUpdateIsSentWithTheRankOfWhatItEnds(t *testing.T) {
	var sealed atomic.Int64
	w := newWorld(t, t.TempDir(), silent(&sealed))
	must[county.Verdict](t)(w.Take(t.Context(), red("red")))
	for i := range link.MaxAlerts {
		must[county.Verdict](t)(w.Take(t.Context(), hostile(fmt.Sprintf("orange %03d", i), func(a *emergency.Alert) { a.Level = emergency.Orange })))
	}
	must[county.Verdict](t)(w.Take(t.Context(), hostile("update", func(a *emergency.Alert) { a.Kind, a.Refs = emergency.KindUpdate, []playlist.AlertID{"red"} })))
	if !names(w.ordered(t), "update") {
		t.Error("it has lost its place")
	}
}

// Messages that hold too much are accepted, by each way, and simplified.
func TestHostileMessagesDoNotKeepOthersOut(t *testing.T) {
	var sealed atomic.Int64
	w := newWorld(t, t.TempDir(), silent(&sealed))
	long := strings.Repeat("很多的字。", 200_000)
	many := func(n int, text func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(text(i))
		}
		return b.String()
	}
	cap := func(id string, from, to string) []byte {
		return []byte(strings.Replace(strings.Replace(capXML(id, string(townArea)), "Severe", "Minor", 1), from, to, 1))
	}
	for _, c := range []struct {
		name string
		raw  []byte
		cut  string
	}{
		{"a long text", cap("c1", "暴雨预警", long), emergency.CutText},
		{"a long event", cap("c2", "<event>暴雨", "<event>"+long), emergency.CutName},
		{"many areas", cap("c3", string(townArea)+"</value></geocode>", string(townArea)+"</value></geocode>"+many(20_000, func(i int) string {
			return fmt.Sprintf("<geocode><valueName>x</valueName><value>3415231%05d</value></geocode>", i+1)
		})), emergency.CutAreas},
		{"a fine polygon", cap("c4", "<geocode>", "<polygon>"+many(100_000, func(i int) string { return fmt.Sprintf("31.%05d,117.%05d ", i, i*i%100_000) })+"31.0,117.0</polygon><geocode>"), emergency.CutPoints},
		{"many shapes", cap("c5", "<geocode>", many(5000, func(i int) string { return fmt.Sprintf("<circle>31.%04d,117 1</circle>", i) })+"<geocode>"), emergency.CutShapes},
		{"many references", cap("c6", "</scope>", "</scope><references>"+many(20_000, func(i int) string { return fmt.Sprintf("a@b,%d,2026-11-25T00:00:00+08:00 ", i) })+"</references>"), emergency.CutRefs},
		{"many sounds", cap("c7", "<area>", many(3000, func(i int) string {
			return fmt.Sprintf("<resource><resourceDesc>s</resourceDesc><mimeType>audio/mpeg</mimeType><uri>http://x/%d.mp3</uri></resource>", i)
		})+"<area>"), emergency.CutAudio},
		{"many languages", func() []byte {
			raw := string(cap("c8", "", ""))
			from, to := strings.Index(raw, "<info>"), strings.Index(raw, "</alert>")
			info := raw[from:to]
			return []byte(raw[:to] + many(60, func(i int) string { return strings.Replace(info, "zh-CN", fmt.Sprint("x-l", i), 1) }) + raw[to:])
		}(), emergency.CutLanguages},
		{"many other places", cap("c9", "<geocode>", many(3000, func(i int) string {
			return fmt.Sprintf("<geocode><valueName>FIPS</valueName><value>%05d%s</value></geocode>", i, strings.Repeat("x", 400))
		})+"<geocode>"), emergency.CutElsewhere},
	} {
		v, err := w.TakeCAP(t.Context(), c.raw, county.FromCAP)
		if err != nil || v.State != emergency.StateWaiting {
			t.Errorf("%s: %+v, %v", c.name, v, err)
			continue
		}
		if !slices.ContainsFunc(v.Cuts, func(x emergency.Cut) bool { return x.What == c.cut }) {
			t.Errorf("%s: it is not told: %+v", c.name, v.Cuts)
		}
	}
	p, id := ebm(t, "h", func(a *emergency.Alert) {
		a.Level, a.Texts[0].Text, a.Audio = emergency.Blue, long, nil
		for i := range 20_000 {
			a.Areas = append(a.Areas, playlist.Area(fmt.Sprintf("3415231%05d", i+1)))
		}
	})
	answer := must[alert.Package](t)(w.TakeEBD(t.Context(), p.Tar, "peer"))
	if m := must[alert.Message](t)(alert.Parse(t.Context(), answer.Tar, alert.Options{})); m.Result.Code != alert.ResultReceived || w.state(t, id) != emergency.StateWaiting {
		t.Errorf("by EBD: %+v", m.Result)
	}
	hand := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{Text: long, Title: long, Event: long, Level: emergency.Blue, Scopes: []playlist.Scope{playlist.AreaScope(townArea)}}, false))
	if len(hand.Cuts) == 0 {
		t.Error("by hand: nothing is told")
	}
	must[county.Verdict](t)(w.Take(t.Context(), red("red")))
	if state := w.ordered(t); !names(state, "red") || !names(state, string(id)) || !names(state, string(hand.ID)) {
		t.Errorf("%d are in the order", len(state.Alerts))
	}
	if n := sealed.Load(); n > 60 { // of two alerts with so many areas for each of 20 towns
		t.Errorf("%d seals", n)
	}
	for name, raw := range map[string][]byte{
		"a long identifier": cap("c"+strings.Repeat("1", 300), "", ""),
		"a long sender":     cap("c20", "met@example.cn", strings.Repeat("m", 300)),
	} {
		if v, err := w.TakeCAP(t.Context(), raw, county.FromCAP); err == nil {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
