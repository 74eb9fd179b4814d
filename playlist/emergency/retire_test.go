package emergency_test

import (
	"slices"
	"testing"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

func TestOnlyWhatIsMeantInEarnestEndsAnEmergency(t *testing.T) {
	for _, c := range []struct {
		class, old emergency.Class
		silent     bool
		want       bool
	}{
		{emergency.ClassEmergency, emergency.ClassEmergency, false, true},
		{emergency.ClassDaily, emergency.ClassEmergency, false, true},
		{emergency.ClassEmergency, emergency.ClassEmergency, true, false},
		{emergency.ClassTest, emergency.ClassEmergency, true, false},
		{emergency.ClassDrillSystem, emergency.ClassEmergency, false, false},
		{emergency.ClassDrillSimulated, emergency.ClassEmergency, false, false},
		{emergency.ClassDrillActual, emergency.ClassEmergency, false, false},
		{emergency.ClassNotPublic, emergency.ClassEmergency, false, false},
		{emergency.ClassTest, emergency.ClassTest, true, true},
		{emergency.ClassDrillActual, emergency.ClassDrillSimulated, false, true},
		{emergency.ClassEmergency, emergency.ClassDrillActual, false, true},
		{emergency.ClassNotPublic, emergency.ClassNotPublic, true, true},
	} {
		a, old := emergency.Alert{Class: c.class, Silent: c.silent}, emergency.Alert{Class: c.old}
		if got := a.MayRetire(old); got != c.want {
			t.Errorf("%s (silent %v) ends %s: %v", c.class, c.silent, c.old, got)
		}
	}
}

// An empty reference, as broken senders write them, means no alert.
func TestAnEmptyReferenceRetiresNothing(t *testing.T) {
	b := emergency.NewBook(emergency.Kept{})
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b.Receive(message("C", func(r *emergency.Record) { r.Kind, r.Refs = emergency.KindCancel, []playlist.AlertID{""} }), p)
	if got := b.Receive(message("A"), p).Records[0]; got.State != emergency.StateWaiting {
		t.Errorf("%s (%s)", got.State, got.Reason)
	}
}

// by is a message with a sender and the proof that it comes with.
func by(sender string, proof emergency.Proof) func(*emergency.Record) {
	return func(r *emergency.Record) {
		r.Sender = sender
		switch proof {
		case emergency.ProofSealed:
			r.Source = playlist.AlertByLink
		case emergency.ProofSignature:
			r.Signature = emergency.Signature{State: emergency.SignatureVerified, By: "certificate of " + sender}
		}
	}
}

func cancels(ids ...playlist.AlertID) func(*emergency.Record) {
	return func(r *emergency.Record) { r.Kind, r.Refs = emergency.KindCancel, ids }
}

// Whether the cancel comes first or its alert, and whether the daemon was started
// anew in between, is all the same.
func TestWhoMayEndAnAlert(t *testing.T) {
	const (
		way, signed, sealed = emergency.ProofWay, emergency.ProofSignature, emergency.ProofSealed
		met, fire, duty     = "met", "fire", "duty"
	)
	site := func(r *emergency.Record) { r.Source = playlist.AlertAtSite }
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}, Retirers: []string{duty}})
	for _, c := range []struct {
		name       string
		alert, end func(*emergency.Record)
		ended      bool
	}{
		{"its sender, both unsigned", by(met, way), by(met, way), true},
		{"its sender, both signed", by(met, signed), by(met, signed), true},
		{"its sender, signed, of an unsigned one", by(met, way), by(met, signed), true},
		{"its sender, unsigned, of a signed one", by(met, signed), by(met, way), false},
		{"its sender, signed, of one that the county has sealed", by(met, sealed), by(met, signed), false},
		{"another, both unsigned", by(met, way), by(fire, way), false},
		{"another, both signed", by(met, signed), by(fire, signed), false},
		{"another, signed, of an unsigned one", by(met, way), by(fire, signed), false},
		{"one that the config names, both unsigned", by(met, way), by(duty, way), true},
		{"one that the config names, both signed", by(met, signed), by(duty, signed), true},
		{"one that the config names, unsigned, of a signed one", by(met, signed), by(duty, way), false},
		{"the county", by(met, signed), by(fire, sealed), true},
		{"the county, of its own", by(met, sealed), by(fire, sealed), true},
		{"a person at the site", by(met, sealed), site, true},
	} {
		for _, kind := range []emergency.Kind{emergency.KindCancel, emergency.KindUpdate} {
			t.Run(c.name+", "+string(kind), func(t *testing.T) {
				alert := message("A", c.alert)
				end := message("E", c.end, cancels("A"))
				end.Kind = kind
				for _, order := range [][]emergency.Record{{alert, end}, {end, alert}} {
					var records []emergency.Record
					var retired []emergency.Retired
					b := emergency.NewBook(emergency.Kept{})
					for _, m := range order {
						got := b.Receive(m, p)
						records, retired = append(got.Records, records...), append(retired, got.Retired...)
						b = reopenedWith(t, records, retired)
					}
					r, _ := b.Record("A")
					if ended := r.State == emergency.StateCancelled; ended != c.ended || ended && r.By != "E" {
						t.Errorf("%s first: A is %s by %q", order[0].ID, r.State, r.By)
					}
					if e, _ := b.Record("E"); order[0].ID == "A" && len(e.Spared) > 0 == c.ended {
						t.Errorf("it says that it has spared %q", e.Spared)
					}
				}
			})
		}
	}
}

func reopenedWith(t *testing.T, records []emergency.Record, retired []emergency.Retired) *emergency.Book {
	t.Helper()
	b := reopened(t, records, nil)
	return emergency.NewBook(emergency.Kept{Records: b.Records(), Retired: retired})
}

// A stranger who names an alert before it comes is in no true cancel's way.
func TestAnAlertMayBeNamedByMany(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b := emergency.NewBook(emergency.Kept{})
	b.Receive(message("stranger", by("x", emergency.ProofWay), cancels("A")), p)
	b.Receive(message("cancel", by("met", emergency.ProofSignature), cancels("A")), p)
	b.Receive(message("another", by("y", emergency.ProofSignature), cancels("A")), p)
	if r := b.Receive(message("A", by("met", emergency.ProofSignature)), p).Records[0]; r.State != emergency.StateCancelled || r.By != "cancel" {
		t.Errorf("%s by %q", r.State, r.By)
	}
}

// What an earlier program has kept of a cancel that came first has no sender.
func TestWhatAnEarlierProgramRetiredStaysRetired(t *testing.T) {
	p := alertSite(playlist.AlertRules{})
	cancel := message("C", by("fire", emergency.ProofWay), cancels("A"))
	cancel.State = emergency.StateLogged
	for name, kept := range map[string][]emergency.Record{"with the cancel's record": {cancel}, "which is forgotten": nil} {
		b := emergency.NewBook(emergency.Kept{Records: kept, Retired: []emergency.Retired{{ID: "A", By: "C", Reason: emergency.ReasonCancelled, At: noon}}})
		if r := b.Receive(message("A", by("met", emergency.ProofSignature)), p).Records[0]; r.State != emergency.StateCancelled || r.By != "C" {
			t.Errorf("%s: %s by %q", name, r.State, r.By)
		}
	}
}

// A copy of a message that is better proven takes the place of a weaker one.
func TestABetterProvenCopyTakesThePlaceOfAWeakerOne(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	says := func(text string) func(*emergency.Record) {
		return func(r *emergency.Record) { r.Texts = []emergency.Text{{Language: "zh-CN", Text: text}} }
	}
	later := func(r *emergency.Record) { r.Received = noon.Add(time.Minute) }
	for _, c := range []struct {
		name           string
		weak           func(*emergency.Record)
		state          emergency.State // to which the first copy has come
		cancelled      bool            // or it was ended by an unsigned cancel
		better         []func(*emergency.Record)
		want           emergency.State
		text           string
		replaces, anew bool
		known          bool
	}{
		{"that says the same, while it airs", by("met", emergency.ProofWay), emergency.StateAiring, false,
			[]func(*emergency.Record){by("met", emergency.ProofSignature), says("撤离")}, emergency.StateAiring, "撤离", true, false, true},
		{"that says the same, once it was heard", by("met", emergency.ProofWay), emergency.StateDone, false,
			[]func(*emergency.Record){by("met", emergency.ProofSignature), says("撤离")}, emergency.StateDone, "撤离", true, false, true},
		{"from the county, which says the same", by("met", emergency.ProofSignature), emergency.StateDone, false,
			[]func(*emergency.Record){by("met", emergency.ProofSealed), says("撤离")}, emergency.StateDone, "撤离", true, false, true},
		{"that says something else, while it airs", by("met", emergency.ProofWay), emergency.StateAiring, false,
			[]func(*emergency.Record){by("met", emergency.ProofSignature), says("留在屋里")}, emergency.StateWaiting, "留在屋里", true, true, false},
		{"that says something else, once it was heard", by("met", emergency.ProofWay), emergency.StateDone, false,
			[]func(*emergency.Record){by("met", emergency.ProofSignature), says("留在屋里")}, emergency.StateWaiting, "留在屋里", true, true, false},
		{"of one that a weak cancel had ended", by("met", emergency.ProofWay), "", true,
			[]func(*emergency.Record){by("met", emergency.ProofSignature), says("撤离")}, emergency.StateWaiting, "撤离", true, false, false},
		{"no better proven", by("met", emergency.ProofSignature), emergency.StateAiring, false,
			[]func(*emergency.Record){by("met", emergency.ProofSignature), says("留在屋里")}, emergency.StateAiring, "撤离", false, false, true},
		{"less well proven", by("met", emergency.ProofSignature), emergency.StateAiring, false,
			[]func(*emergency.Record){by("met", emergency.ProofWay), says("留在屋里")}, emergency.StateAiring, "撤离", false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := emergency.NewBook(emergency.Kept{})
			b.Receive(message("A", c.weak, says("撤离")), p)
			if c.cancelled {
				b.Receive(message("C", by("met", emergency.ProofWay), cancels("A")), p)
			} else {
				b.Advance("A", c.state, noon.Add(time.Second))
			}
			got := b.Receive(message("A", append(c.better, later)...), p)
			r, _ := b.Record("A")
			if text, _ := r.Text("zh-CN"); r.State != c.want || text.Text != c.text {
				t.Errorf("%s, says %q; want %s, %q", r.State, text.Text, c.want, c.text)
			}
			if got.Replaces != c.replaces || got.Anew != c.anew || got.Known != c.known || len(got.Records) > 0 != c.replaces {
				t.Errorf("%+v", got)
			}
			if c.replaces && r.Proof() != message("A", c.better...).Proof() {
				t.Errorf("proof %d", r.Proof())
			}
			if heard := r.Heard([]asrun.Row{{Cued: noon, Item: 3, Frames: 1, Used: asrun.UsedSpeech, Outcome: asrun.Complete}}); heard.Last != 3 || heard.Whole > 0 == c.anew {
				t.Errorf("of the pass before, %d counts, and the last was %d", heard.Whole, heard.Last)
			}
		})
	}
	// A better proven cancel ends what its weaker copy could not.
	b := emergency.NewBook(emergency.Kept{})
	b.Receive(message("A", by("met", emergency.ProofSignature)), p)
	b.Receive(message("C", by("met", emergency.ProofWay), cancels("A")), p)
	if r, _ := b.Record("A"); r.State != emergency.StateWaiting {
		t.Errorf("an unsigned cancel made a signed alert %s", r.State)
	}
	b.Receive(message("C", by("met", emergency.ProofSignature), cancels("A")), p)
	if r, _ := b.Record("A"); r.State != emergency.StateCancelled {
		t.Errorf("once the cancel came signed, the alert is %s", r.State)
	}
}

// A weaker copy takes away no sound that is yet to come.
func TestAWeakerCopyChangesNothing(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b := emergency.NewBook(emergency.Kept{})
	b.Receive(message("A", by("met", emergency.ProofSealed), func(r *emergency.Record) { r.Audio = []emergency.Audio{{Name: "clip"}} }), p)
	for _, weak := range []func(*emergency.Record){by("met", emergency.ProofWay), func(r *emergency.Record) { r.Signature.State = emergency.SignatureBad }} {
		c := b.Receive(message("A", weak, func(r *emergency.Record) { r.Clip = &playlist.Clip{ID: "x"} }), p)
		if r, _ := b.Record("A"); !c.Known || len(c.Records) > 0 || r.Clip != nil || len(r.Audio) == 0 {
			t.Errorf("%+v, %+v", c, r)
		}
	}
}

// The program one version back ends nothing that was retired before: what is told it
// must not keep a true cancel from an alert in force.
func TestTheEarlierProgramIsToldOnlyOfWhatIsRetired(t *testing.T) {
	p := alertSite(playlist.AlertRules{Unsigned: []playlist.AlertSource{playlist.AlertByHand}})
	b := emergency.NewBook(emergency.Kept{})
	if c := b.Receive(message("stranger", by("x", emergency.ProofWay), cancels("A")), p); len(c.Retired) != 1 || c.Retired[0].ID != "A" {
		t.Errorf("named before it came: %+v", c.Retired)
	}
	if c := b.Receive(message("A", by("met", emergency.ProofWay)), p); !slices.Equal(c.Restored, []playlist.AlertID{"A"}) {
		t.Errorf("restored %q", c.Restored)
	}
	if c := b.Receive(message("another", by("y", emergency.ProofWay), cancels("A")), p); len(c.Retired) != 0 {
		t.Errorf("named by another: %+v", c.Retired)
	}
	if c := b.Receive(message("cancel", by("met", emergency.ProofWay), cancels("A")), p); len(c.Retired) != 1 || len(c.Records) != 2 {
		t.Errorf("cancelled: %+v", c)
	}
}
