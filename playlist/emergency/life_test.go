package emergency_test

import (
	"encoding/json"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

func TestHowLongAnAlertLives(t *testing.T) {
	const day = 24 * time.Hour
	sent := func(before time.Duration) func(*emergency.Record) {
		return func(r *emergency.Record) { r.Sent, r.NotBefore = noon.Add(-before), noon.Add(-before) }
	}
	until := func(after time.Duration) func(*emergency.Record) {
		return func(r *emergency.Record) { r.NotAfter = noon.Add(after) }
	}
	effective := func(after time.Duration) func(*emergency.Record) {
		return func(r *emergency.Record) { r.NotBefore = noon.Add(after) }
	}
	link := func(r *emergency.Record) { r.Source = playlist.AlertByLink }
	drop := func(r *emergency.Record) { r.Source = playlist.AlertByDrop }
	clockless := func(r *emergency.Record) { r.Clock = playlist.ClockUntrusted }
	for _, c := range []struct {
		name   string
		change []func(*emergency.Record)
		ends   time.Duration // after noon, when it came
		reason emergency.Reason
		late   bool
	}{
		{"sent just now", []func(*emergency.Record){sent(time.Minute)}, 59 * time.Minute, "", false},
		{"sent five years ago", []func(*emergency.Record){sent(5 * 365 * day)}, -5*365*day + time.Hour, emergency.ReasonExpired, false},
		{"the same, from the drop folder", []func(*emergency.Record){sent(5 * 365 * day), drop}, -5*365*day + time.Hour, emergency.ReasonExpired, false},
		{"the same, from the county", []func(*emergency.Record){sent(5 * 365 * day), link}, time.Hour, "", false},
		{"the same, and no clock", []func(*emergency.Record){sent(5 * 365 * day), clockless}, time.Hour, "", false},
		{"the same, with an end that is yet to come", []func(*emergency.Record){sent(5 * 365 * day), until(time.Hour)}, time.Hour, "", false},
		{"over, but not for long", []func(*emergency.Record){sent(2 * time.Hour)}, time.Hour, "", true},
		{"over for less than 12 hours", []func(*emergency.Record){sent(12*time.Hour - time.Second)}, time.Hour, "", true},
		{"over for 12 hours", []func(*emergency.Record){sent(12 * time.Hour)}, -11 * time.Hour, emergency.ReasonExpired, false},
		{"over just now", []func(*emergency.Record){sent(time.Hour)}, time.Hour, "", true},
		{"over, and it names its end", []func(*emergency.Record){sent(2 * time.Hour), until(-time.Minute)}, -time.Minute, emergency.ReasonExpired, false},
		{"in effect later than it was sent", []func(*emergency.Record){sent(20 * time.Hour), effective(-time.Minute)}, 59 * time.Minute, "", false},
		{"in effect from an instant to come", []func(*emergency.Record){sent(time.Minute), effective(2 * day)}, 2*day + time.Hour, "", false},
		{"sent by a clock that is a year ahead", []func(*emergency.Record){sent(-365 * day)}, time.Hour, "", false},
		{"for a year", []func(*emergency.Record){sent(0), until(365 * day)}, 30 * day, "", false},
		{"for 30 days", []func(*emergency.Record){sent(0), until(30 * day)}, 30 * day, "", false},
		{"for a year from an instant to come", []func(*emergency.Record){sent(0), effective(10 * day), until(365 * day)}, 40 * day, "", false},
		{"for a year, of which most is over", []func(*emergency.Record){sent(364 * day), until(day)}, day, "", false},
		{"for a year, and no clock", []func(*emergency.Record){sent(-365 * day), until(2 * 365 * day), clockless}, 395 * day, "", false},
		{"it ends before it begins", []func(*emergency.Record){sent(0), effective(2 * time.Hour), until(time.Hour)}, time.Hour, emergency.ReasonNever, false},
		{"the same, and no clock", []func(*emergency.Record){sent(0), effective(2 * time.Hour), until(time.Hour), clockless}, time.Hour, emergency.ReasonNever, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand, playlist.AlertByDrop}})
			b := emergency.NewBook(emergency.Kept{})
			r := b.Receive(message("A", c.change...), p).Records[0]
			state := emergency.StateWaiting
			if c.reason != "" {
				state = emergency.StateRefused
			}
			if r.State != state || r.Reason != c.reason || r.Late != c.late {
				t.Errorf("%s (%s), late %v; want %s (%s), %v", r.State, r.Reason, r.Late, state, c.reason, c.late)
			}
			for when, rules := range map[string]playlist.AlertRules{"now": p.Alerts, "after a reload": {Life: 5 * time.Hour}} {
				if got := r.Expires(rules).Sub(noon); got != c.ends {
					t.Errorf("%s: ends %v after it came, want %v", when, got, c.ends)
				}
			}
			if r.Cut() != (c.ends < r.NotAfter.Sub(noon)) {
				t.Errorf("cut: %v", r.Cut())
			}
		})
	}
}

// A record as the program one version back has stored it: it has no end of its own.
func TestAnAlertOfAnEarlierProgramKeepsItsLife(t *testing.T) {
	for _, c := range []struct {
		name, times string
		ends        time.Time
	}{
		{"sent years ago, without an end", `"sent":"2021-11-23T12:00:00Z","not_before":"2021-11-23T12:00:00Z"`, noon.Add(time.Hour)},
		{"with its end", `"sent":"2026-11-23T11:00:00Z","not_after":"2027-11-23T12:00:00Z"`, noon.AddDate(1, 0, 0)},
		{"for an instant to come", `"sent":"2026-11-23T11:00:00Z","not_before":"2026-11-24T12:00:00Z"`, noon.Add(25 * time.Hour)},
	} {
		var r emergency.Record
		text := `{"id":"A","kind":"request","class":"emergency","level":1,"source":"hand","received":"2026-11-23T12:00:00Z","clock":"trusted","state":"airing",` + c.times + `}`
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		b := emergency.NewBook(emergency.Kept{Records: []emergency.Record{r}})
		if got := b.InForce(); len(got) != 1 || !got[0].Expires(playlist.AlertRules{}).Equal(c.ends) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// What the book has forgotten must not sound anew when a copy of it comes.
func TestAnAlertIsRememberedAsLongAsACopyOfItCouldSound(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	for name, change := range map[string]func(*emergency.Record){
		"its life was cut":          func(r *emergency.Record) { r.Sent, r.NotAfter = noon, noon.AddDate(1, 0, 0) },
		"it was sent in the future": func(r *emergency.Record) { r.Sent = noon.AddDate(1, 0, 0) },
	} {
		b := emergency.NewBook(emergency.Kept{})
		b.Receive(message("A", change), p)
		b.Advance("A", emergency.StateDone, noon.Add(time.Minute))
		b.Forget(noon.AddDate(0, 6, 0), p.Alerts)
		again := message("A", change)
		again.Received = noon.AddDate(0, 7, 0)
		if c := b.Receive(again, p); !c.Known {
			t.Errorf("%s: a copy is %s", name, c.Records[0].State)
		}
		if gone := b.Forget(noon.AddDate(2, 0, 0), p.Alerts); len(gone) == 0 {
			t.Errorf("%s: it is never forgotten", name)
		}
	}
}
