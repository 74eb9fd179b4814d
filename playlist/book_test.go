package playlist_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"dalaba/playlist"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func message(id playlist.AlertID, change ...func(*playlist.AlertRecord)) playlist.AlertRecord {
	r := playlist.AlertRecord{
		Source: playlist.AlertByHand, Received: noon, Clock: playlist.ClockTrusted,
		Alert: playlist.Alert{
			ID: id, Kind: playlist.AlertRequest, Class: playlist.AlertEmergency, Level: playlist.AlertRed,
			Areas: []playlist.Area{"320924000000"}, Signature: playlist.AlertSignature{State: playlist.SignatureAbsent},
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
		change func(*playlist.AlertRecord)
		state  playlist.AlertState
		reason playlist.AlertReason
	}{
		{"an emergency for the county", byHand, func(*playlist.AlertRecord) {}, playlist.AlertWaiting, ""},
		{"for the village itself", byHand, func(r *playlist.AlertRecord) { r.Areas = []playlist.Area{"320924100201"} }, playlist.AlertWaiting, ""},
		{"for everybody", byHand, func(r *playlist.AlertRecord) { r.Areas = nil }, playlist.AlertWaiting, ""},
		{"for the next village", byHand, func(r *playlist.AlertRecord) { r.Areas = []playlist.Area{"320924100202"} }, playlist.AlertRefused, playlist.AlertReasonArea},
		{"for another province", byHand, func(r *playlist.AlertRecord) { r.Areas = []playlist.Area{"110000000000"} }, playlist.AlertRefused, playlist.AlertReasonArea},
		{"unsigned from where it must be signed", playlist.AlertRules{}, func(*playlist.AlertRecord) {}, playlist.AlertRefused, playlist.AlertReasonUnsigned},
		{"unsigned in a county's envelope", playlist.AlertRules{}, func(r *playlist.AlertRecord) { r.Source = playlist.AlertByLink }, playlist.AlertWaiting, ""},
		{"signed", playlist.AlertRules{}, func(r *playlist.AlertRecord) { r.Signature.State = playlist.SignatureVerified }, playlist.AlertWaiting, ""},
		{"signed badly, even by hand", byHand, func(r *playlist.AlertRecord) { r.Signature.State = playlist.SignatureBad }, playlist.AlertRefused, playlist.AlertReasonSignature},
		{"over when it came", byHand, func(r *playlist.AlertRecord) { r.NotAfter = noon.Add(-time.Second) }, playlist.AlertRefused, playlist.AlertReasonExpired},
		{"over, says a clock that nobody trusts", byHand, func(r *playlist.AlertRecord) {
			r.NotAfter, r.Clock = noon.Add(-time.Second), playlist.ClockUntrusted
		}, playlist.AlertWaiting, ""},
		{"a drill", byHand, func(r *playlist.AlertRecord) { r.Class = playlist.AlertDrillActual }, playlist.AlertRefused, playlist.AlertReasonDrill},
		{"a drill where they are allowed", drills, func(r *playlist.AlertRecord) { r.Class = playlist.AlertDrillActual }, playlist.AlertWaiting, ""},
		{"a drill of the system", drills, func(r *playlist.AlertRecord) { r.Class = playlist.AlertDrillSystem }, playlist.AlertLogged, playlist.AlertReasonSilent},
		{"a test", drills, func(r *playlist.AlertRecord) { r.Class = playlist.AlertTest }, playlist.AlertLogged, playlist.AlertReasonSilent},
		{"a cancel", byHand, func(r *playlist.AlertRecord) { r.Kind = playlist.AlertCancel }, playlist.AlertLogged, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := message("A", c.change)
			b := playlist.NewAlertBook(nil, nil)
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
	cancel := message("C", func(r *playlist.AlertRecord) { r.Kind, r.Refs = playlist.AlertCancel, []playlist.AlertID{"A"} })
	for _, order := range [][]playlist.AlertRecord{{message("A"), cancel}, {cancel, message("A")}} {
		b := playlist.NewAlertBook(nil, nil)
		var records []playlist.AlertRecord
		var retired []playlist.Retired
		for _, m := range order {
			c := b.Receive(m, p)
			records, retired = append(c.Records, records...), append(retired, c.Retired...)
			// Over a restart, through JSON.
			b = reopened(t, records, retired)
		}
		if r, _ := b.Record("A"); r.State != playlist.AlertCancelled {
			t.Errorf("%s first: %s", order[0].ID, r.State)
		}
		if len(b.InForce()) > 0 {
			t.Errorf("in force: %v", b.InForce())
		}
	}
}

// reopened is the book as a restart finds it.
func reopened(t *testing.T, records []playlist.AlertRecord, retired []playlist.Retired) *playlist.AlertBook {
	t.Helper()
	var kept []playlist.AlertRecord
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
		var back playlist.AlertRecord
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, back)
	}
	return playlist.NewAlertBook(kept, retired)
}

func TestAReferenceOfCAP10LeavesOutTheTime(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	const id = "me@example.cn,1,2026-11-23T12:00:00-00:00"
	cancel := message("C", func(r *playlist.AlertRecord) {
		r.Kind, r.Refs = playlist.AlertCancel, []playlist.AlertID{"me@example.cn,1,"}
	})
	for _, order := range [][]playlist.AlertRecord{{message(id), cancel}, {cancel, message(id)}} {
		b := playlist.NewAlertBook(nil, nil)
		for _, m := range order {
			b.Receive(m, p)
		}
		if r, _ := b.Record(id); r.State != playlist.AlertCancelled {
			t.Errorf("%s first: %s", order[0].ID, r.State)
		}
	}
}

func TestWhatNeverSoundsEndsNoEmergency(t *testing.T) {
	p := alertSite(playlist.AlertRules{Drills: true, Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	class := func(c playlist.AlertClass) func(*playlist.AlertRecord) {
		return func(r *playlist.AlertRecord) { r.Class = c }
	}
	for _, c := range []struct {
		name   string
		by, of func(*playlist.AlertRecord)
		want   playlist.AlertState
	}{
		{"an emergency one", func(*playlist.AlertRecord) {}, func(*playlist.AlertRecord) {}, playlist.AlertCancelled},
		{"a test", class(playlist.AlertTest), func(*playlist.AlertRecord) {}, playlist.AlertWaiting},
		{"a drill of the system", class(playlist.AlertDrillSystem), func(*playlist.AlertRecord) {}, playlist.AlertWaiting},
		{"one for named recipients", class(playlist.AlertNotPublic), func(*playlist.AlertRecord) {}, playlist.AlertWaiting},
		{"one with nothing in it", func(r *playlist.AlertRecord) { r.Silent = true }, func(*playlist.AlertRecord) {}, playlist.AlertWaiting},
		{"a test, of a drill", class(playlist.AlertTest), class(playlist.AlertDrillActual), playlist.AlertCancelled},
		{"one from the pole itself, of no class", class(""), func(*playlist.AlertRecord) {}, playlist.AlertCancelled},
	} {
		for _, kind := range []playlist.AlertKind{playlist.AlertCancel, playlist.AlertUpdate} {
			t.Run(c.name+", "+string(kind), func(t *testing.T) {
				b := playlist.NewAlertBook(nil, nil)
				b.Receive(message("A", c.of), p)
				by := message("B", c.by)
				by.Kind, by.Refs = kind, []playlist.AlertID{"A", "late"}
				b.Receive(by, p)
				if r, _ := b.Record("A"); r.State != c.want {
					t.Errorf("A is %s, want %s", r.State, c.want)
				}
				b.Receive(message("late"), p)
				late := c.want
				if by.Class == playlist.AlertTest {
					late = playlist.AlertWaiting
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
	b := playlist.NewAlertBook(nil, nil)
	b.Receive(message("A"), p)
	b.Receive(message("C", func(r *playlist.AlertRecord) {
		r.Kind, r.Refs, r.Signature.State = playlist.AlertCancel, []playlist.AlertID{"A"}, playlist.SignatureBad
	}), p)
	if r, _ := b.Record("A"); r.State != playlist.AlertWaiting {
		t.Errorf("A is %s", r.State)
	}
}

func TestARefusedCopyDoesNotKeepTheTrueOneOut(t *testing.T) {
	p := alertSite(playlist.AlertRules{})
	signed := func(state playlist.SignatureState, counter uint32) func(*playlist.AlertRecord) {
		return func(r *playlist.AlertRecord) {
			r.Signature = playlist.AlertSignature{State: state, By: "x", Counter: counter}
		}
	}
	over := func(c playlist.ClockState) func(*playlist.AlertRecord) {
		return func(r *playlist.AlertRecord) {
			r.Signature.State, r.NotAfter, r.Clock = playlist.SignatureVerified, noon.Add(-time.Second), c
		}
	}
	for _, c := range []struct {
		name         string
		first, again func(*playlist.AlertRecord)
		state        playlist.AlertState
		known        bool
	}{
		{"signed badly, then well", signed(playlist.SignatureBad, 7), signed(playlist.SignatureVerified, 7), playlist.AlertWaiting, false},
		{"come before its certificate", signed(playlist.SignatureUnknown, 7), signed(playlist.SignatureVerified, 7), playlist.AlertWaiting, false},
		{"signed badly twice", signed(playlist.SignatureBad, 7), signed(playlist.SignatureBad, 8), playlist.AlertRefused, true},
		{"a counter used before", signed(playlist.SignatureBad, 7), signed(playlist.SignatureVerified, 5), playlist.AlertRefused, true},
		{"signed well, then badly", signed(playlist.SignatureVerified, 7), signed(playlist.SignatureBad, 8), playlist.AlertWaiting, true},
		{"over, and again by a clock that nobody trusts", over(playlist.ClockTrusted), over(playlist.ClockUntrusted), playlist.AlertRefused, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := playlist.NewAlertBook(nil, nil)
			b.Receive(message("before", signed(playlist.SignatureVerified, 5)), p)
			b.Receive(message("A", c.first), p)
			got := b.Receive(message("A", c.again), p)
			if r, _ := b.Record("A"); r.State != c.state || got.Known != c.known || got.Known == (len(got.Records) > 0) {
				t.Errorf("%s (%s), %+v", r.State, r.Reason, got)
			}
		})
	}
	// A cancel too.
	b := playlist.NewAlertBook(nil, nil)
	b.Receive(message("A", signed(playlist.SignatureVerified, 0)), p)
	cancel := func(state playlist.SignatureState) playlist.AlertRecord {
		return message("C", signed(state, 0), func(r *playlist.AlertRecord) {
			r.Kind, r.Refs = playlist.AlertCancel, []playlist.AlertID{"A"}
		})
	}
	b.Receive(cancel(playlist.SignatureBad), p)
	b.Receive(cancel(playlist.SignatureVerified), p)
	if r, _ := b.Record("A"); r.State != playlist.AlertCancelled {
		t.Errorf("A is %s", r.State)
	}
}

func TestACounterIsAcceptedOnce(t *testing.T) {
	p := alertSite(playlist.AlertRules{})
	signed := func(id playlist.AlertID, by string, counter uint32) playlist.AlertRecord {
		return message(id, func(r *playlist.AlertRecord) {
			r.Signature = playlist.AlertSignature{State: playlist.SignatureVerified, By: by, Counter: counter}
		})
	}
	b := playlist.NewAlertBook(nil, nil)
	for _, c := range []struct {
		m    playlist.AlertRecord
		want playlist.AlertReason
	}{
		{signed("A", "x", 7), ""}, {signed("B", "x", 7), playlist.AlertReasonReplay}, {signed("C", "x", 6), playlist.AlertReasonReplay},
		{signed("D", "y", 1), ""}, {signed("E", "x", 8), ""},
	} {
		if got := b.Receive(c.m, p).Records[0]; got.Reason != c.want {
			t.Errorf("%s: %q, want %q", c.m.ID, got.Reason, c.want)
		}
	}
	b = playlist.NewAlertBook(b.Records(), nil)
	if got := b.Receive(signed("F", "x", 8), p).Records[0]; got.Reason != playlist.AlertReasonReplay {
		t.Errorf("after a restart: %q", got.Reason)
	}
}

func TestTheOrderInWhichAlertsMaySound(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b := playlist.NewAlertBook(nil, nil)
	at := func(id playlist.AlertID, l playlist.AlertLevel, area playlist.Area, after time.Duration) {
		b.Receive(message(id, func(r *playlist.AlertRecord) {
			r.Level, r.Areas, r.Received = l, []playlist.Area{area}, noon.Add(after)
		}), p)
	}
	at("blue", playlist.AlertBlue, "320924000000", 0)
	at("village", playlist.AlertRed, "320924100201", 0)
	at("late", playlist.AlertRed, "320924000000", time.Minute)
	at("early", playlist.AlertRed, "320924000000", time.Second)
	at("province", playlist.AlertRed, "320000000000", time.Hour)
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
	b := playlist.NewAlertBook(nil, nil)
	for _, id := range []playlist.AlertID{"A", "B"} {
		b.Receive(message(id, func(r *playlist.AlertRecord) { r.Source, r.Scope = playlist.AlertByLink, scope }), p)
	}
	if c := b.Withdraw("group:x", nil, noon); len(c.Records) > 0 {
		t.Errorf("another scope withdrew %v", c.Records)
	}
	if c := b.Withdraw(scope, []playlist.AlertID{"B"}, noon); len(c.Records) != 1 || c.Records[0].ID != "A" || c.Records[0].Reason != playlist.AlertReasonWithdrawn {
		t.Errorf("%+v", c.Records)
	}
	if left := b.InForce(); len(left) != 1 || left[0].ID != "B" {
		t.Errorf("%v", left)
	}
}

func TestThePlacesInAShape(t *testing.T) {
	square := playlist.AlertShape{Points: [][2]float64{{33, 120}, {33, 121}, {34, 121}, {34, 120}, {33, 120}}}
	dateline := playlist.AlertShape{Points: [][2]float64{{-1, 179}, {-1, -179}, {1, -179}, {1, 179}, {-1, 179}}}
	circle := playlist.AlertShape{Points: [][2]float64{{33.5, 120.5}}, RadiusKM: 10}
	for _, c := range []struct {
		name  string
		shape playlist.AlertShape
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

func TestTheOutcomeOfAnAlert(t *testing.T) {
	outputs := []playlist.Output{{Name: "east"}, {Name: "west"}}
	row := func(output string, used playlist.Used, o playlist.Outcome, frames int64) playlist.Row {
		return playlist.Row{Output: output, Used: used, Outcome: o, Frames: frames}
	}
	for _, c := range []struct {
		name string
		rows []playlist.Row
		want playlist.AlertState
	}{
		{"nothing", nil, playlist.AlertFailed},
		{"the tone alone", []playlist.Row{row("east", playlist.UsedTone, playlist.Complete, 9)}, playlist.AlertPartial},
		{"one of two", []playlist.Row{row("east", playlist.UsedClip, playlist.Complete, 9)}, playlist.AlertPartial},
		{"both, one of them by speech", []playlist.Row{row("east", playlist.UsedClip, playlist.Complete, 9), row("west", playlist.UsedSpeech, playlist.Complete, 9)}, playlist.AlertDone},
		{"cut off on one, whole the second time", []playlist.Row{
			row("east", playlist.UsedClip, playlist.Preempted, 3), row("east", playlist.UsedClip, playlist.Complete, 9), row("west", playlist.UsedClip, playlist.Complete, 9),
		}, playlist.AlertDone},
	} {
		if got := playlist.AlertOutcome(c.rows, outputs); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestWhatIsForgottenIsToldSoThatItIsKeptNowhere(t *testing.T) {
	site := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b := playlist.NewAlertBook(nil, nil)
	b.Receive(message("cancel", func(r *playlist.AlertRecord) {
		r.Kind, r.Refs = playlist.AlertCancel, []playlist.AlertID{"never came", "came late"}
	}), site)
	b.Receive(message("came late", func(r *playlist.AlertRecord) { r.Received = noon.AddDate(0, 0, 40) }), site)
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
