package county_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// villages are what is known of an alert that three villages of one output each are to
// sound twice, some seconds after it was ordered.
type villages struct {
	alert   store.Alert
	fleet   []store.Controller
	targets []store.Target
	rows    []store.RowOf
	now     time.Time
}

func newVillages() *villages {
	v := &villages{now: time.Date(2026, 11, 23, 3, 0, 30, 0, time.UTC)}
	ordered := v.now.Add(-30 * time.Second)
	v.alert = store.Alert{State: emergency.StateWaiting, Received: ordered, Ends: ordered.Add(time.Hour), Alert: emergency.Alert{ID: "flood", Passes: 2}}
	for i := range 3 {
		id := playlist.ControllerID(fmt.Sprint("v", i))
		v.fleet = append(v.fleet, store.Controller{
			ID: id, Name: fmt.Sprint("村", i), Area: village, State: store.Active, Seen: v.now, Outputs: []store.Output{{Name: "村口", Area: village, Residents: 100}},
		})
		v.targets = append(v.targets, store.Target{Controller: id, Online: true, Delivered: ordered.Add(time.Second)})
	}
	return v
}

// heard adds whole passes on the output of a village, the first begun so long after the
// order.
func (v *villages) heard(i, passes int, after time.Duration) *villages {
	for n := range passes {
		at := v.alert.Received.Add(after + time.Duration(n)*10*time.Second)
		r := asrun.Row{
			Alert: "flood", Output: "村口", Item: n + 1, Part: 1, Started: at, Ended: at.Add(time.Second), Frames: 48000, OfFrames: 48000,
			Used: asrun.UsedTone, Outcome: asrun.Complete, Clock: playlist.ClockTrusted, Seq: int64(len(v.rows) + 1),
		}
		v.rows = append(v.rows, store.RowOf{Controller: v.fleet[i].ID, Row: r})
		r.Used, r.Started, r.Ended, r.Seq = asrun.UsedClip, r.Ended, r.Ended.Add(5*time.Second), r.Seq+1
		v.rows = append(v.rows, store.RowOf{Controller: v.fleet[i].ID, Row: r})
	}
	if passes > 0 {
		v.alert.State = emergency.StateAiring
	}
	return v
}

func (v *villages) told(i int, s emergency.State, why emergency.Reason) *villages {
	v.targets[i].State, v.targets[i].Why = s, why
	return v
}

// away has a village out of contact since before the order.
func (v *villages) away(i int) *villages {
	v.fleet[i].Seen, v.targets[i].Online, v.targets[i].Delivered = v.alert.Received.Add(-time.Hour), false, time.Time{}
	return v
}

func (v *villages) later(d time.Duration) *villages {
	v.now = v.now.Add(d)
	for i, k := range v.fleet {
		if k.Seen.After(v.alert.Received) {
			v.fleet[i].Seen = v.now
		}
	}
	return v
}

func (v *villages) account() county.AlertAccount {
	return county.AccountOf(v.alert, v.fleet, v.targets, v.rows, v.now)
}

// An alert airs until its passes are over at all who are known to sound it; to its end it
// stays in force for the others.
func TestTheStateOfAnAlertInForce(t *testing.T) {
	const after = 2 * time.Second
	const waiting, airing, done, partial, failed = emergency.StateWaiting, emergency.StateAiring, emergency.StateDone, emergency.StatePartial, emergency.StateFailed
	for _, c := range []struct {
		name string
		of   *villages
		want emergency.State
	}{
		{"just ordered", newVillages(), waiting},
		{"one has begun", newVillages().heard(0, 1, after), airing},
		{"one is through, the others have not told yet", newVillages().heard(0, 2, after), airing},
		{"all are through by their receipts", newVillages().heard(0, 2, after).heard(1, 2, after).heard(2, 2, after), done},
		{"all have told that they are through", newVillages().heard(0, 1, after).heard(1, 1, after).heard(2, 1, after).
			told(0, done, "").told(1, done, "").told(2, done, ""), done},
		{"one is silent, and may begin yet", newVillages().heard(0, 2, after).heard(1, 2, after), airing},
		{"one stays silent", newVillages().heard(0, 2, after).heard(1, 2, after).later(10 * time.Minute), partial},
		{"one does not air it", newVillages().heard(0, 2, after).heard(1, 2, after).told(2, emergency.StateRefused, emergency.ReasonDrill), partial},
		{"one was away, and is", newVillages().heard(0, 2, after).heard(1, 2, after).away(2).later(10 * time.Minute), partial},
		{"one repeats it while it is in contact", newVillages().heard(0, 1, after).heard(1, 2, after).heard(2, 2, after).later(10 * time.Minute), airing},
		{"one lost contact amid its passes", func() *villages {
			v := newVillages().heard(0, 1, after).heard(1, 2, after).heard(2, 2, after).later(10 * time.Minute)
			v.fleet[0].Seen = v.alert.Received.Add(10 * time.Second)
			return v
		}(), done}, // each has sounded a whole pass
		{"one is done, its receipts are on the way", newVillages().heard(0, 2, after).heard(1, 2, after).told(2, done, "").later(10 * time.Minute), airing},
		{"none airs it", newVillages().told(0, emergency.StateRefused, emergency.ReasonDrill).told(1, failed, "").told(2, emergency.StateRefused, emergency.ReasonDrill), failed},
		{"all told that they are through, and went away before their receipts came", func() *villages {
			v := newVillages()
			for i := range v.fleet {
				v.told(i, done, "").fleet[i].Seen = v.now
			}
			v.now = v.now.Add(20 * time.Minute)
			return v
		}(), waiting},
		{"none tells anything", newVillages().later(20 * time.Minute), waiting},
		{"cancelled", func() *villages {
			v := newVillages().heard(0, 1, after)
			v.alert.State = emergency.StateCancelled
			return v
		}(), emergency.StateCancelled},
		{"to begin in the afternoon", func() *villages {
			v := newVillages().heard(0, 2, 4*time.Hour)
			v.alert.NotBefore = v.alert.Received.Add(4 * time.Hour)
			return v.later(4*time.Hour + time.Minute)
		}(), airing},
	} {
		if got := c.of.account().Alert.State; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestWhyAControllerIsSilent(t *testing.T) {
	for _, c := range []struct {
		name  string
		of    func(v *villages)
		want  county.Silence
		cause string
	}{
		{"it does not air drills", func(v *villages) { v.told(0, emergency.StateRefused, emergency.ReasonDrill) }, county.SilenceRefused, "drill"},
		{"the alert was cancelled before it began", func(v *villages) {
			v.told(0, emergency.StateCancelled, emergency.ReasonCancelled).alert.State = emergency.StateCancelled
		}, county.SilenceCancelled, "cancelled"},
		{"it had a fault until the alert ended", func(v *villages) {
			v.told(0, emergency.StateCancelled, emergency.ReasonWithdrawn).alert.State = emergency.StatePartial
			v.fleet[0].Fault = true
		}, county.SilenceFault, ""},
		{"its device did not answer", func(v *villages) {
			v.rows = append(v.rows, store.RowOf{Controller: "v0", Row: asrun.Row{Output: "村口", Item: 1, Outcome: asrun.Failed, Reason: asrun.ReasonDevice}})
		}, county.SilenceTried, "device_gone"},
		{"it was away before the order", func(v *villages) { v.away(0) }, county.SilenceAway, ""},
		{"it is in contact, and has not told", func(v *villages) { v.targets[0].Delivered = time.Time{} }, county.SilenceUntold, ""},
		{"it had the order and went away", func(v *villages) { v.later(time.Hour).fleet[0].Seen = v.alert.Received.Add(time.Minute) }, county.SilenceLost, ""},
		{"it has the order and a fault", func(v *villages) { v.fleet[0].Fault = true }, county.SilenceFault, ""},
		{"it has the order and has not begun", func(*villages) {}, county.SilenceWaiting, ""},
		{"it told that it is through", func(v *villages) { v.told(0, emergency.StateDone, "") }, county.SilenceReceipts, ""},
		{"it has no output there", func(v *villages) { v.fleet[0].Outputs = nil }, county.SilenceNowhere, ""},
	} {
		v := newVillages()
		c.of(v)
		acc := v.account()
		if len(acc.Silent) != 3 {
			t.Fatalf("%s: %d are silent", c.name, len(acc.Silent))
		}
		if _, cause := acc.Silent[0].Cause(); acc.Silent[0].Silent != c.want || cause != c.cause {
			t.Errorf("%s: %s %q, want %s %q", c.name, acc.Silent[0].Silent, cause, c.want, c.cause)
		}
	}
}

func TestSilentControllersAreGatheredByTheCause(t *testing.T) {
	v := newVillages().away(0).away(2).told(1, emergency.StateRefused, emergency.ReasonDrill)
	v.fleet[2].Seen = v.fleet[2].Seen.Add(-time.Hour)
	all := county.Gathered(v.account().Silent)
	if len(all) != 2 || all[0].Why != county.SilenceAway || len(all[0].Targets) != 2 || all[0].Residents != 200 || !all[0].Since.Equal(v.fleet[2].Seen) ||
		all[1].Why != county.SilenceRefused || len(all[1].Targets) != 1 {
		t.Errorf("gathered %+v", all)
	}
}

// A cancel is told with what it ended. One that came before its alert, or may not end it,
// is listed by itself.
func TestACancelIsListedWithWhatItEnded(t *testing.T) {
	w := newWorld(t, t.TempDir(), unsigned)
	w.enrol(t, village, nil, speaker("村口", village, 420))
	message := func(id playlist.AlertID, kind emergency.Kind, sender string, refs ...playlist.AlertID) {
		t.Helper()
		must[county.Verdict](t)(w.Take(t.Context(), county.Incoming{Source: county.FromEBD, Raw: []byte{1}, Alert: emergency.Alert{
			ID: id, Kind: kind, Sender: sender, Class: emergency.ClassEmergency, Level: emergency.Red, Areas: []playlist.Area{townArea}, Sent: time.Now(), Refs: refs,
		}}))
	}
	rows := func() (all []string) {
		var listed []county.Listed
		w.call(t, "GET", "/api/alerts", url.Values{"n": {"20"}}, nil, &listed)
		for _, l := range listed {
			text := string(l.ID) + " " + string(l.State)
			if l.Ended != nil {
				text += " by " + string(l.Ended.By) + " of " + l.Ended.Sender
			}
			all = append(all, strings.TrimSpace(text+" "+string(l.Cancels)))
		}
		slices.Sort(all)
		return all
	}
	message("flood", emergency.KindRequest, "met")
	message("flood off", emergency.KindCancel, "met", "flood")
	message("wind", emergency.KindRequest, "met")
	message("wind 2", emergency.KindUpdate, "met", "wind")
	message("early off", emergency.KindCancel, "met", "late")
	message("again off", emergency.KindCancel, "met", "flood")
	message("foreign off", emergency.KindCancel, "stranger", "wind 2")
	want := []string{
		"again off logged nothing", "early off logged unknown", "flood cancelled by flood off of met", "foreign off logged spared", "wind 2 waiting", "wind cancelled by wind 2 of met",
	}
	if got := rows(); !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	message("late", emergency.KindRequest, "met")
	if got := rows(); !slices.Contains(got, "late cancelled by early off of met") || slices.Contains(got, "early off logged unknown") {
		t.Errorf("once the alert has come: %q", got)
	}
	var first []county.Listed
	if w.call(t, "GET", "/api/alerts", url.Values{"n": {"5"}}, nil, &first); len(first) != 5 {
		t.Errorf("%d of the latest 5 are listed", len(first))
	}
}

// What the list, the account and the sender are told of an alert is one state.
func TestTheStateIsOneEverywhere(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), county.ByHand{
		Text: "预警", Level: emergency.Blue, Passes: 1, Scopes: []playlist.Scope{playlist.AreaScope(village)}, Audio: course(t), AudioName: "a.mp3",
	}, false))
	eventually(t, "it arrives", func() bool { _, ok := b.holds(v.ID); return ok })
	b.sounded(v.ID, "村口", 420, asrun.Complete)
	eventually(t, "its rows are in", func() bool { return b.unsent() == 0 })
	b.mu.Lock()
	b.health.Alerts = []link.AlertProgress{{ID: v.ID, State: string(emergency.StateDone)}}
	b.mu.Unlock()
	var acc county.AlertAccount
	eventually(t, "its passes are over", func() bool {
		w.call(t, "GET", "/api/account", url.Values{"id": {string(v.ID)}}, nil, &acc)
		return acc.Alert.State == emergency.StateDone
	})
	l := must[[]county.Listed](t)(w.listed(t))[0]
	if l.State != emergency.StateDone || l.Controllers != (county.Ladder{Targeted: 1, Online: l.Controllers.Online, Delivered: 1, Started: 1, Completed: 1}) {
		t.Errorf("listed as %s %+v", l.State, l.Controllers)
	}
	if _, ok := b.holds(v.ID); !ok || w.state(t, v.ID).Over() {
		t.Error("it is no longer in force for those who come back")
	}
}
