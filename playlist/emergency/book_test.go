package emergency_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func message(id playlist.AlertID, change ...func(*emergency.Record)) emergency.Record {
	r := emergency.Record{
		Source: playlist.AlertByHand, Received: noon, Clock: playlist.ClockTrusted,
		Alert: emergency.Alert{
			ID: id, Kind: emergency.KindRequest, Class: emergency.ClassEmergency, Level: emergency.Red,
			Areas: []playlist.Area{"320924000000"}, Signature: emergency.Signature{State: emergency.SignatureAbsent},
		},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func alertSite(rules playlist.AlertRules) *playlist.Programme {
	return &playlist.Programme{
		Site:    playlist.Site{Area: "320924100201", Zone: time.UTC},
		Outputs: []playlist.Output{{Name: "east", Area: "320924100201"}},
		Alerts:  rules,
	}
}

func TestWhatBecomesOfAMessage(t *testing.T) {
	byHand := playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}}
	drills := byHand
	drills.Drills = true
	for _, c := range []struct {
		name   string
		rules  playlist.AlertRules
		change func(*emergency.Record)
		state  emergency.State
		reason emergency.Reason
	}{
		{"an emergency for the county", byHand, func(*emergency.Record) {}, emergency.StateWaiting, ""},
		{"for the village itself", byHand, func(r *emergency.Record) { r.Areas = []playlist.Area{"320924100201"} }, emergency.StateWaiting, ""},
		{"for everybody", byHand, func(r *emergency.Record) { r.Areas = nil }, emergency.StateWaiting, ""},
		{"for the next village", byHand, func(r *emergency.Record) { r.Areas = []playlist.Area{"320924100202"} }, emergency.StateRefused, emergency.ReasonArea},
		{"for another province", byHand, func(r *emergency.Record) { r.Areas = []playlist.Area{"110000000000"} }, emergency.StateRefused, emergency.ReasonArea},
		{"unsigned from where it must be signed", playlist.AlertRules{}, func(*emergency.Record) {}, emergency.StateRefused, emergency.ReasonUnsigned},
		{"unsigned in a county's envelope", playlist.AlertRules{}, func(r *emergency.Record) { r.Source = playlist.AlertByLink }, emergency.StateWaiting, ""},
		{"signed", playlist.AlertRules{}, func(r *emergency.Record) { r.Signature.State = emergency.SignatureVerified }, emergency.StateWaiting, ""},
		{"signed badly, even by hand", byHand, func(r *emergency.Record) { r.Signature.State = emergency.SignatureBad }, emergency.StateRefused, emergency.ReasonSignature},
		{"over when it came", byHand, func(r *emergency.Record) { r.NotAfter = noon.Add(-time.Second) }, emergency.StateRefused, emergency.ReasonExpired},
		{"over, says a clock that nobody trusts", byHand, func(r *emergency.Record) {
			r.NotAfter, r.Clock = noon.Add(-time.Second), playlist.ClockUntrusted
		}, emergency.StateWaiting, ""},
		{"a drill", byHand, func(r *emergency.Record) { r.Class = emergency.ClassDrillActual }, emergency.StateRefused, emergency.ReasonDrill},
		{"a drill where they are allowed", drills, func(r *emergency.Record) { r.Class = emergency.ClassDrillActual }, emergency.StateWaiting, ""},
		{"a drill of the system", drills, func(r *emergency.Record) { r.Class = emergency.ClassDrillSystem }, emergency.StateLogged, emergency.ReasonSilent},
		{"a test", drills, func(r *emergency.Record) { r.Class = emergency.ClassTest }, emergency.StateLogged, emergency.ReasonSilent},
		{"a cancel", byHand, func(r *emergency.Record) { r.Kind = emergency.KindCancel }, emergency.StateLogged, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := message("A", c.change)
			b := emergency.NewBook(emergency.Kept{})
			got := b.Receive(r, alertSite(c.rules)).Records[0]
			if got.State != c.state || got.Reason != c.reason {
				t.Errorf("%s (%s), want %s (%s)", got.State, got.Reason, c.state, c.reason)
			}
			if again := b.Receive(r, alertSite(c.rules)); !again.Known || len(again.Records) > 0 {
				t.Errorf("a copy of it changed %v", again)
			}
		})
	}
}

func TestACancelHoldsWheneverItComes(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	cancel := message("C", func(r *emergency.Record) { r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{"A"} })
	for _, order := range [][]emergency.Record{{message("A"), cancel}, {cancel, message("A")}} {
		b := emergency.NewBook(emergency.Kept{})
		var records []emergency.Record
		var retired []emergency.Retired
		for _, m := range order {
			c := b.Receive(m, p)
			records, retired = append(c.Records, records...), append(retired, c.Retired...)
			// Over a restart, through JSON.
			b = reopened(t, records, retired)
		}
		if r, _ := b.Record("A"); r.State != emergency.StateCancelled {
			t.Errorf("%s first: %s", order[0].ID, r.State)
		}
		if len(b.InForce()) > 0 {
			t.Errorf("in force: %v", b.InForce())
		}
	}
}

// reopened is the book as a restart finds it.
func reopened(t *testing.T, records []emergency.Record, retired []emergency.Retired) *emergency.Book {
	t.Helper()
	var kept []emergency.Record
	seen := map[playlist.AlertID]bool{}
	for _, r := range records { // the latest first
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back emergency.Record
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, back)
	}
	return emergency.NewBook(emergency.Kept{Records: kept, Retired: retired})
}

func TestAReferenceOfCAP10LeavesOutTheTime(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	const id = "me@example.cn,1,2026-11-23T12:00:00-00:00"
	cancel := message("C", func(r *emergency.Record) {
		r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{"me@example.cn,1,"}
	})
	for _, order := range [][]emergency.Record{{message(id), cancel}, {cancel, message(id)}} {
		b := emergency.NewBook(emergency.Kept{})
		for _, m := range order {
			b.Receive(m, p)
		}
		if r, _ := b.Record(id); r.State != emergency.StateCancelled {
			t.Errorf("%s first: %s", order[0].ID, r.State)
		}
	}
}

func TestWhatNeverSoundsEndsNoEmergency(t *testing.T) {
	p := alertSite(playlist.AlertRules{Drills: true, Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	class := func(c emergency.Class) func(*emergency.Record) {
		return func(r *emergency.Record) { r.Class = c }
	}
	for _, c := range []struct {
		name   string
		by, of func(*emergency.Record)
		want   emergency.State
	}{
		{"an emergency one", func(*emergency.Record) {}, func(*emergency.Record) {}, emergency.StateCancelled},
		{"a test", class(emergency.ClassTest), func(*emergency.Record) {}, emergency.StateWaiting},
		{"a drill of the system", class(emergency.ClassDrillSystem), func(*emergency.Record) {}, emergency.StateWaiting},
		{"one for named recipients", class(emergency.ClassNotPublic), func(*emergency.Record) {}, emergency.StateWaiting},
		{"one with nothing in it", func(r *emergency.Record) { r.Silent = true }, func(*emergency.Record) {}, emergency.StateWaiting},
		{"a test, of a drill", class(emergency.ClassTest), class(emergency.ClassDrillActual), emergency.StateCancelled},
		{"one from the pole itself, of no class", class(""), func(*emergency.Record) {}, emergency.StateCancelled},
	} {
		for _, kind := range []emergency.Kind{emergency.KindCancel, emergency.KindUpdate} {
			t.Run(c.name+", "+string(kind), func(t *testing.T) {
				b := emergency.NewBook(emergency.Kept{})
				b.Receive(message("A", c.of), p)
				by := message("B", c.by)
				by.Kind, by.Refs = kind, []playlist.AlertID{"A", "late"}
				b.Receive(by, p)
				if r, _ := b.Record("A"); r.State != c.want {
					t.Errorf("A is %s, want %s", r.State, c.want)
				}
				b.Receive(message("late"), p)
				late := c.want
				if by.Class == emergency.ClassTest {
					late = emergency.StateWaiting
				}
				if r, _ := b.Record("late"); r.State != late {
					t.Errorf("what comes later is %s, want %s", r.State, late)
				}
			})
		}
	}
}

func TestABadCancelCancelsNothing(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b := emergency.NewBook(emergency.Kept{})
	b.Receive(message("A"), p)
	b.Receive(message("C", func(r *emergency.Record) {
		r.Kind, r.Refs, r.Signature.State = emergency.KindCancel, []playlist.AlertID{"A"}, emergency.SignatureBad
	}), p)
	if r, _ := b.Record("A"); r.State != emergency.StateWaiting {
		t.Errorf("A is %s", r.State)
	}
}

func TestARefusedCopyDoesNotKeepTheTrueOneOut(t *testing.T) {
	p := alertSite(playlist.AlertRules{})
	signed := func(state emergency.SignatureState, counter uint32) func(*emergency.Record) {
		return func(r *emergency.Record) {
			r.Signature = emergency.Signature{State: state, By: "x", Counter: counter}
		}
	}
	over := func(c playlist.ClockState) func(*emergency.Record) {
		return func(r *emergency.Record) {
			r.Signature.State, r.NotAfter, r.Clock = emergency.SignatureVerified, noon.Add(-time.Second), c
		}
	}
	for _, c := range []struct {
		name         string
		first, again func(*emergency.Record)
		state        emergency.State
		known        bool
	}{
		{"signed badly, then well", signed(emergency.SignatureBad, 7), signed(emergency.SignatureVerified, 7), emergency.StateWaiting, false},
		{"come before its certificate", signed(emergency.SignatureUnknown, 7), signed(emergency.SignatureVerified, 7), emergency.StateWaiting, false},
		{"signed badly twice", signed(emergency.SignatureBad, 7), signed(emergency.SignatureBad, 8), emergency.StateRefused, true},
		{"a counter used before", signed(emergency.SignatureBad, 7), signed(emergency.SignatureVerified, 5), emergency.StateRefused, true},
		{"signed well, then badly", signed(emergency.SignatureVerified, 7), signed(emergency.SignatureBad, 8), emergency.StateWaiting, true},
		{"over, and again by a clock that nobody trusts", over(playlist.ClockTrusted), over(playlist.ClockUntrusted), emergency.StateRefused, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := emergency.NewBook(emergency.Kept{})
			b.Receive(message("before", signed(emergency.SignatureVerified, 5)), p)
			b.Receive(message("A", c.first), p)
			got := b.Receive(message("A", c.again), p)
			if r, _ := b.Record("A"); r.State != c.state || got.Known != c.known || got.Known == (len(got.Records) > 0) {
				t.Errorf("%s (%s), %+v", r.State, r.Reason, got)
			}
		})
	}
	// A cancel too.
	b := emergency.NewBook(emergency.Kept{})
	b.Receive(message("A", signed(emergency.SignatureVerified, 0)), p)
	cancel := func(state emergency.SignatureState) emergency.Record {
		return message("C", signed(state, 0), func(r *emergency.Record) {
			r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{"A"}
		})
	}
	b.Receive(cancel(emergency.SignatureBad), p)
	b.Receive(cancel(emergency.SignatureVerified), p)
	if r, _ := b.Record("A"); r.State != emergency.StateCancelled {
		t.Errorf("A is %s", r.State)
	}
}

func TestACounterIsAcceptedOnce(t *testing.T) {
	p := alertSite(playlist.AlertRules{})
	signed := func(id playlist.AlertID, by string, counter uint32) emergency.Record {
		return message(id, func(r *emergency.Record) {
			r.Signature = emergency.Signature{State: emergency.SignatureVerified, By: by, Counter: counter}
		})
	}
	b := emergency.NewBook(emergency.Kept{})
	for _, c := range []struct {
		m    emergency.Record
		want emergency.Reason
	}{
		{signed("A", "x", 7), ""}, {signed("B", "x", 7), emergency.ReasonReplay}, {signed("C", "x", 6), emergency.ReasonReplay},
		{signed("D", "y", 1), ""}, {signed("E", "x", 8), ""},
	} {
		if got := b.Receive(c.m, p).Records[0]; got.Reason != c.want {
			t.Errorf("%s: %q, want %q", c.m.ID, got.Reason, c.want)
		}
	}
	b = emergency.NewBook(emergency.Kept{Records: b.Records()})
	if got := b.Receive(signed("F", "x", 8), p).Records[0]; got.Reason != emergency.ReasonReplay {
		t.Errorf("after a restart: %q", got.Reason)
	}
}

func TestCountersOutliveTheirMessages(t *testing.T) {
	p := alertSite(playlist.AlertRules{})
	later := noon.AddDate(0, 0, 400)
	signed := func(id playlist.AlertID, key string, counter uint32, at time.Time) emergency.Record {
		return message(id, func(r *emergency.Record) {
			r.Received, r.Sent, r.NotAfter = at, at, at.Add(time.Hour)
			r.Signature = emergency.Signature{State: emergency.SignatureVerified, By: "0001", Key: key, Counter: counter}
		})
	}
	b := emergency.NewBook(emergency.Kept{})
	kept := emergency.Kept{Counters: emergency.Counters{}}
	receive := func(m emergency.Record) emergency.Reason {
		c := b.Receive(m, p)
		maps.Copy(kept.Counters, c.Counters)
		return c.Records[0].Reason
	}
	for _, m := range []emergency.Record{signed("A", "north", 7, noon), signed("B", "south", 1<<32-1, noon)} {
		if why := receive(m); why != "" {
			t.Fatalf("%s: %q", m.ID, why)
		}
	}
	text, err := json.Marshal(b.Records())
	if err == nil {
		err = json.Unmarshal(text, &kept.Records)
	}
	if err != nil {
		t.Fatal(err)
	}
	b = emergency.NewBook(kept)
	for _, id := range []playlist.AlertID{"A", "B"} {
		b.Advance(id, emergency.StateDone, noon)
	}
	if gone := b.Forget(noon.AddDate(0, 0, 31), p.Alerts); len(gone) != 2 {
		t.Fatalf("forgotten: %v", gone)
	}
	b = emergency.NewBook(emergency.Kept{Counters: kept.Counters})
	for _, c := range []struct {
		name string
		m    emergency.Record
		want emergency.Reason
	}{
		{"the same message with a later end", signed("A", "north", 7, later), emergency.ReasonReplay},
		{"one that does not count any more", signed("C", "north", 0, later), emergency.ReasonReplay},
		{"the next one", signed("D", "north", 8, later), ""},
		{"of another key whose certificate has the same number", signed("E", "west", 1, later), ""},
	} {
		if got := receive(c.m); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	// What the program one version back kept names no key, only the certificate's number.
	b = emergency.NewBook(emergency.Kept{Records: []emergency.Record{signed("A", "", 7, noon)}})
	if got := receive(signed("B", "north", 7, noon)); got != emergency.ReasonReplay {
		t.Errorf("after an upgrade: %q", got)
	}
}

func TestTheOrderInWhichAlertsMaySound(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b := emergency.NewBook(emergency.Kept{})
	at := func(id playlist.AlertID, l emergency.Level, area playlist.Area, after time.Duration) {
		b.Receive(message(id, func(r *emergency.Record) {
			r.Level, r.Areas, r.Received = l, []playlist.Area{area}, noon.Add(after)
		}), p)
	}
	at("blue", emergency.Blue, "320924000000", 0)
	at("village", emergency.Red, "320924100201", 0)
	at("late", emergency.Red, "320924000000", time.Minute)
	at("early", emergency.Red, "320924000000", time.Second)
	at("province", emergency.Red, "320000000000", time.Hour)
	var got []playlist.AlertID
	for _, r := range b.InForce() {
		got = append(got, r.ID)
	}
	if want := []playlist.AlertID{"province", "early", "late", "village", "blue"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWhatItsCountyNoLongerHasFallsSilent(t *testing.T) {
	p := alertSite(playlist.AlertRules{})
	scope := playlist.AreaScope("320924000000")
	b := emergency.NewBook(emergency.Kept{})
	for _, id := range []playlist.AlertID{"A", "B"} {
		b.Receive(message(id, func(r *emergency.Record) { r.Source, r.Scope = playlist.AlertByLink, scope }), p)
	}
	if c := b.Withdraw("group:x", nil, noon); len(c.Records) > 0 {
		t.Errorf("another scope withdrew %v", c.Records)
	}
	if c := b.Withdraw(scope, []playlist.AlertID{"B"}, noon); len(c.Records) != 1 || c.Records[0].ID != "A" || c.Records[0].Reason != emergency.ReasonWithdrawn {
		t.Errorf("%+v", c.Records)
	}
	if left := b.InForce(); len(left) != 1 || left[0].ID != "B" {
		t.Errorf("%v", left)
	}
}

func TestThePlacesInAShape(t *testing.T) {
	square := emergency.Shape{Points: [][2]float64{{33, 120}, {33, 121}, {34, 121}, {34, 120}, {33, 120}}}
	dateline := emergency.Shape{Points: [][2]float64{{-1, 179}, {-1, -179}, {1, -179}, {1, 179}, {-1, 179}}}
	circle := emergency.Shape{Points: [][2]float64{{33.5, 120.5}}, RadiusKM: 10}
	for _, c := range []struct {
		name  string
		shape emergency.Shape
		at    playlist.Place
		want  bool
	}{
		{"within the square", square, playlist.Place{Lat: 33.5, Lon: 120.5}, true},
		{"north of it", square, playlist.Place{Lat: 34.5, Lon: 120.5}, false},
		{"west of it", square, playlist.Place{Lat: 33.5, Lon: 119.5}, false},
		{"on the 180th meridian", dateline, playlist.Place{Lat: 0, Lon: 180}, true},
		{"the other side of it", dateline, playlist.Place{Lat: 0, Lon: -179.5}, true},
		{"the other side of the world", dateline, playlist.Place{Lat: 0, Lon: 0}, false},
		{"9 km north of the centre", circle, playlist.Place{Lat: 33.5 + 9/111.2, Lon: 120.5}, true},
		{"11 km north of it", circle, playlist.Place{Lat: 33.5 + 11/111.2, Lon: 120.5}, false},
	} {
		if got := c.shape.Holds(c.at); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestWhatIsForgottenIsToldSoThatItIsKeptNowhere(t *testing.T) {
	site := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b := emergency.NewBook(emergency.Kept{})
	b.Receive(message("cancel", func(r *emergency.Record) {
		r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{"never came", "came late"}
	}), site)
	b.Receive(message("came late", func(r *emergency.Record) { r.Received = noon.AddDate(0, 0, 40) }), site)
	for _, c := range []struct {
		days int
		want []playlist.AlertID
	}{
		{0, nil},
		{39, []playlist.AlertID{"cancel", "never came"}},
		{39, nil},
		{41, []playlist.AlertID{"came late"}},
	} {
		gone := b.Forget(noon.AddDate(0, 0, c.days), site.Alerts)
		slices.Sort(gone)
		if gone = slices.Compact(gone); !slices.Equal(gone, c.want) {
			t.Errorf("after %d days: %q", c.days, gone)
		}
	}
}
