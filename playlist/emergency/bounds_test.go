package emergency_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// ring is a polygon of n points round a place.
func ring(lat, lon, size float64, n int) (s emergency.Shape) {
	for i := range n {
		at := 2 * math.Pi * float64(i) / float64(n)
		s.Points = append(s.Points, [2]float64{lat + size*math.Sin(at), lon + size*math.Cos(at)})
	}
	s.Points = append(s.Points, s.Points[0])
	return s
}

// monster is an alert that has too much of everything.
func monster() emergency.Alert {
	a := emergency.Alert{
		ID: "M", Kind: emergency.KindUpdate, Class: emergency.ClassEmergency, Level: emergency.Blue, Sender: "s",
		Event: strings.Repeat("暴", 10_000), SenderName: strings.Repeat("台", 10_000), EventCode: strings.Repeat("1", 10_000),
		NotAfter:  time.Date(12_000, 1, 1, 0, 0, 0, 0, time.UTC),
		Sent:      time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC),
		Signature: emergency.Signature{State: emergency.SignatureVerified, By: strings.Repeat("x", 10_000)},
	}
	for i := range 50 {
		a.Texts = append(a.Texts, emergency.Text{Language: fmt.Sprintf("x-%d", i), Title: strings.Repeat("t", 5000), Text: strings.Repeat("a", 50_000), Advice: strings.Repeat("b", 50_000)})
	}
	a.Texts = append(a.Texts, emergency.Text{Language: "zh-CN", Text: strings.Repeat("请立即转移。", 20_000), Advice: "上高处"})
	for i := range 20_000 {
		a.Areas = append(a.Areas, playlist.Area(fmt.Sprintf("3415231%05d", i+1)))
		a.Refs = append(a.Refs, playlist.AlertID(fmt.Sprintf("ref %d", i)))
		a.Elsewhere = append(a.Elsewhere, strings.Repeat("e", 500))
	}
	a.Shapes = []emergency.Shape{ring(31.4, 117, 0.2, 100_000)}
	for i := range 3000 {
		a.Shapes = append(a.Shapes, emergency.Shape{Points: [][2]float64{{20 + float64(i)/1000, 100}}, RadiusKM: 2})
	}
	for i := range 64 {
		a.Audio = append(a.Audio, emergency.Audio{Name: strings.Repeat("n", 5000), URI: strings.Repeat("u", 5000), Size: int64(i)})
	}
	a.Audio[63].Data = []byte("sound")
	return a
}

func TestAnAlertIsHeldWithinBounds(t *testing.T) {
	a, cuts := monster().Bounded()
	for _, what := range []string{
		emergency.CutLanguages, emergency.CutText, emergency.CutName, emergency.CutAreas, emergency.CutShapes, emergency.CutPoints,
		emergency.CutRefs, emergency.CutAudio, emergency.CutElsewhere,
	} {
		if !slices.ContainsFunc(cuts, func(c emergency.Cut) bool { return c.What == what && c.Had > c.Kept }) {
			t.Errorf("%s is not told: %v", what, cuts)
		}
	}
	text, err := json.Marshal(a)
	if err != nil || len(text) > 400<<10 {
		t.Errorf("%d bytes of JSON, %v", len(text), err)
	}
	if len(a.Audio[0].Data) == 0 {
		t.Error("the sound that came along made room for one that is only named")
	}
	again, cuts := a.Bounded()
	if len(cuts) != 1 || cuts[0].What != emergency.CutSpoken || fmt.Sprint(again) != fmt.Sprint(a) {
		t.Errorf("what is within bounds is cut again: %v", cuts)
	}
	size := len(text)
	for step := 1; step <= emergency.Steps; step++ {
		less := monster().Simplified(step)
		text, err := json.Marshal(less)
		if err != nil || len(text) >= size {
			t.Errorf("step %d: %d bytes after %d, %v", step, len(text), size, err)
		}
		size = len(text)
		said := less.Spoken("zh-CN")
		if !strings.HasPrefix(said, "请立即转移。") || !strings.HasSuffix(said, "。\n上高处") {
			t.Errorf("step %d says %.40s…", step, said)
		}
		for _, area := range monster().Areas {
			if !less.Concerns(area, nil) {
				t.Fatalf("step %d is not for %s any more", step, area)
			}
		}
	}
	if size > 8<<10 {
		t.Errorf("at its simplest it has %d bytes", size)
	}
}

func TestWhatIsWithinBoundsStaysAsItIs(t *testing.T) {
	honest := emergency.Alert{
		ID: "A", Class: emergency.ClassEmergency, Level: emergency.Red, Event: "暴雨", NotAfter: noon, Areas: []playlist.Area{"341523100201"},
		Texts:  []emergency.Text{{Language: "zh-CN", Title: "暴雨", Text: strings.Repeat("河水上涨。", 1000)}, {Language: "en", Text: "Rain."}},
		Shapes: []emergency.Shape{ring(31.4, 117, 0.2, 20_000)},
	}
	got, cuts := honest.Bounded()
	if len(cuts) != 1 || cuts[0] != (emergency.Cut{What: emergency.CutSpoken, Had: 5000, Kept: 3000}) || fmt.Sprint(got) != fmt.Sprint(honest) {
		t.Errorf("cut: %v", cuts)
	}
	honest.Texts[0].Text = strings.Repeat("河水上涨。", 600)
	if _, cuts := honest.Bounded(); len(cuts) > 0 {
		t.Errorf("cut: %v", cuts)
	}
	honest.Texts[0].Text = strings.Repeat("河水上涨。", 1000)
	if n := utf8.RuneCountInString(honest.Spoken("zh-CN")); n > 3500 || n < 2500 {
		t.Errorf("%d characters are spoken", n)
	}
}

func TestASimplerShapeHoldsNoLess(t *testing.T) {
	for _, c := range []struct {
		name   string
		shapes []emergency.Shape
		in     [][2]float64
		out    [][2]float64
	}{
		{"a polygon", []emergency.Shape{ring(31, 117, 0.5, 5000)}, [][2]float64{{31, 117}, {31.49, 117}, {31, 116.51}}, [][2]float64{{33, 117}, {31, 119}}},
		{"a circle and a polygon", []emergency.Shape{{Points: [][2]float64{{30, 110}}, RadiusKM: 100}, ring(31, 117, 0.5, 5000)}, [][2]float64{{30.89, 110}, {30, 111.03}, {31, 117.4}}, [][2]float64{{30, 105}, {36, 112}}},
		{"across the 180th meridian", []emergency.Shape{ring(10, 179.8, 0.5, 5000), ring(10, -179, 0.5, 5000)}, [][2]float64{{10, 179.4}, {10, -179.8}, {10, -178.6}}, [][2]float64{{10, 0}, {10, 178}}},
		{"all round the earth", []emergency.Shape{{Points: [][2]float64{{0, 0}}, RadiusKM: 20_000}, ring(0, 0, 1, 5000)}, [][2]float64{{0, 180}, {-89, 10}, {0, -180}, {60, -90}}, nil},
		{"half of the earth", []emergency.Shape{ring(0, -100, 1, 5000), ring(0, 0, 1, 5000), ring(0, 100, 1, 5000)}, [][2]float64{{0, -100}, {0, 0}, {0, 100}}, [][2]float64{{40, 0}}},
		{"one without sense", []emergency.Shape{{}, ring(0, 0, 1, 5000)}, [][2]float64{{50, 50}}, nil},
	} {
		a := emergency.Alert{Shapes: c.shapes}.Simplified(emergency.Steps)
		if len(a.Shapes) != 1 || len(a.Shapes[0].Points) > 9 {
			t.Errorf("%s: %d shapes", c.name, len(a.Shapes))
			continue
		}
		for _, at := range c.in {
			if !a.Concerns("341523100201", &playlist.Place{Lat: at[0], Lon: at[1]}) {
				t.Errorf("%s: %v is not in it", c.name, at)
			}
		}
		for _, at := range c.out {
			if a.Concerns("341523100201", &playlist.Place{Lat: at[0], Lon: at[1]}) {
				t.Errorf("%s: %v is in it", c.name, at)
			}
		}
	}
}

func TestAnAlertThatIsInForceAgainSoundsAgain(t *testing.T) {
	const scope = playlist.Scope("area:341523000000")
	p := &playlist.Programme{Site: playlist.Site{Area: "341523100201"}, Outputs: []playlist.Output{{Name: "a"}}}
	r := emergency.Record{Source: playlist.AlertByLink, Scope: scope, Received: noon, Clock: playlist.ClockTrusted, Alert: emergency.Alert{
		ID: "A", Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Blue, NotAfter: noon.Add(time.Hour),
	}}
	for _, c := range []struct {
		name   string
		change func(b *emergency.Book, again *emergency.Record)
		want   emergency.State
	}{
		{"named again", func(*emergency.Book, *emergency.Record) {}, emergency.StateWaiting},
		{"named by another scope", func(_ *emergency.Book, again *emergency.Record) { again.Scope = "group:x" }, emergency.StateWaiting},
		{"a copy of it by hand", func(_ *emergency.Book, again *emergency.Record) { again.Source = playlist.AlertByDrop }, emergency.StateCancelled},
		{"its time is over", func(_ *emergency.Book, again *emergency.Record) { again.Received = noon.Add(2 * time.Hour) }, emergency.StateCancelled},
		{"a cancel has come", func(b *emergency.Book, _ *emergency.Record) {
			b.Receive(emergency.Record{Source: playlist.AlertAtSite, Received: noon, Clock: playlist.ClockTrusted, Alert: emergency.Alert{
				ID: "C", Kind: emergency.KindCancel, Refs: []playlist.AlertID{"A"},
			}}, p)
		}, emergency.StateCancelled},
	} {
		b := emergency.NewBook(emergency.Kept{})
		b.Receive(r, p)
		b.Withdraw(scope, nil, noon)
		again := r
		c.change(b, &again)
		got := b.Receive(again, p)
		if now, _ := b.Record("A"); now.State != c.want {
			t.Errorf("%s: %s, want %s", c.name, now.State, c.want)
		} else if c.want == emergency.StateWaiting && (got.Known || !got.Replaces || got.Anew) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestAnAlertOfTwoScopesEndsWhenNeitherNamesIt(t *testing.T) {
	p := &playlist.Programme{Site: playlist.Site{Area: "341523100201"}, Outputs: []playlist.Output{{Name: "a"}}}
	from := func(scope playlist.Scope) emergency.Record {
		return emergency.Record{Source: playlist.AlertByLink, Scope: scope, Received: noon, Clock: playlist.ClockTrusted, Alert: emergency.Alert{
			ID: "A", Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Blue, NotAfter: noon.Add(time.Hour),
		}}
	}
	for _, gone := range [][]playlist.Scope{{"group:x", "group:y"}, {"group:y", "group:x"}} {
		b := emergency.NewBook(emergency.Kept{})
		for range 2 {
			b.Receive(from("group:x"), p)
			b.Receive(from("group:y"), p)
		}
		b.Withdraw(gone[0], nil, noon)
		b = emergency.NewBook(emergency.Kept{Records: b.Records()})
		if r, _ := b.Record("A"); r.State != emergency.StateWaiting {
			t.Errorf("without %s it is %s", gone[0], r.State)
		}
		b.Withdraw(gone[1], nil, noon)
		if r, _ := b.Record("A"); r.State != emergency.StateCancelled || r.Reason != emergency.ReasonWithdrawn {
			t.Errorf("without both it is %s", r.State)
		}
		for _, scope := range gone { // there is room for it again
			b.Receive(from(scope), p)
			if r, _ := b.Record("A"); r.State != emergency.StateWaiting {
				t.Errorf("again in %s it is %s", scope, r.State)
			}
		}
		b.Withdraw(gone[0], nil, noon)
		if r, _ := b.Record("A"); r.State != emergency.StateWaiting {
			t.Errorf("once more without %s it is %s", gone[0], r.State)
		}
		b.Withdraw(gone[1], nil, noon)
		b.Receive(from(gone[1]), p)
		if r, _ := b.Record("A"); r.State != emergency.StateWaiting {
			t.Errorf("back in %s, which was the last to name it, it is %s", gone[1], r.State)
		}
	}
}

func TestTheForemostComeFirst(t *testing.T) {
	at := func(id playlist.AlertID, l emergency.Level, s emergency.State, minute int) emergency.Record {
		return emergency.Record{State: s, Received: noon.Add(time.Duration(minute) * time.Minute), Alert: emergency.Alert{ID: id, Class: emergency.ClassEmergency, Level: l}}
	}
	var got []string
	for _, r := range emergency.Foremost([]emergency.Record{
		at("done", emergency.Red, emergency.StateDone, 9), at("blue", emergency.Blue, emergency.StateAiring, 0), at("failed", emergency.Red, emergency.StateFailed, 10),
		at("later red", emergency.Red, emergency.StateWaiting, 8), at("red", emergency.Red, emergency.StateAiring, 1),
	}) {
		got = append(got, string(r.ID))
	}
	if s := strings.Join(got, ","); s != "red,later red,blue,failed,done" {
		t.Error(s)
	}
}
