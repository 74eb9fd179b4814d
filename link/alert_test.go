package link_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// wire is an alert as JSON, with fields put in the place of others.
func wire(t *testing.T, a link.AlertInForce, fields map[string]any) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal(must[[]byte](t)(json.Marshal(a)), &v); err != nil {
		t.Fatal(err)
	}
	for path, f := range fields {
		at := v
		if rest, ok := strings.CutPrefix(path, "alert."); ok {
			at, path = v["alert"].(map[string]any), rest
		}
		at[path] = f
	}
	return v
}

func TestOneBadAlertOfADocumentCostsNoOther(t *testing.T) {
	o := newCountyKeys()
	clip, data := sound(100, 1)
	bad := func() link.AlertInForce {
		a := flood("bad")
		a.Order = false
		return a
	}
	with := func(c playlist.Clip, inline []byte) link.AlertInForce {
		a := bad()
		a.Clip, a.Inline = &c, inline
		return a
	}
	noFrames, nameless := clip, clip
	noFrames.Frames, nameless.ID = 0, "x"
	for _, c := range []struct {
		name  string
		alert any
		faint bool // the bad one sounds too
		clip  bool // with its clip
	}{
		{"no ID", wire(t, bad(), map[string]any{"alert.id": ""}), false, false},
		{"not even an object", "alert", false, false},
		{"nothing", nil, false, false},
		{"the same one twice", wire(t, flood("red"), nil), false, false},
		{"an unknown class", wire(t, bad(), map[string]any{"alert.class": "of a later county"}), true, false},
		{"a clip without frames", wire(t, with(noFrames, nil), nil), true, false},
		{"a clip without a name", wire(t, with(nameless, data), nil), true, false},
		{"the bytes of another clip", wire(t, with(clip, data[1:]), nil), true, true},
		{"bytes that are no base64", wire(t, with(clip, data), map[string]any{"inline": "%%%"}), true, true},
		{"bytes of no clip", wire(t, with(clip, data), map[string]any{"clip": nil}), true, false},
		{"a clip that is a number", wire(t, with(clip, data), map[string]any{"clip": 5}), true, false},
		{"a level in words", wire(t, bad(), map[string]any{"alert.level": "red"}), true, false},
		{"a time that is none", wire(t, bad(), map[string]any{"alert.sent": "today", "received": "today"}), true, false},
		{"shapes of another kind", wire(t, bad(), map[string]any{"alert.shapes": "POLYGON((1 2))"}), true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := must[link.Envelope](t)(link.Seal(link.TypeAlerts, map[string]any{
				"scope": playlist.AreaScope(town), "version": 7, "issued": time.Now(), "alerts": []any{c.alert, flood("red")},
			}, o.alert)).Bytes()
			who := playlist.Follower{ID: "daba-1", Areas: []playlist.Area{town}}
			d, err := link.Accept(raw, o.trust, who, func(link.Kind, playlist.Scope) (h link.Have, ok bool) { return h, false })
			if err != nil {
				t.Fatal(err)
			}
			var red, faint *link.AlertInForce
			for i, a := range d.Alerts.Alerts {
				switch a.Alert.ID {
				case "red":
					red = &d.Alerts.Alerts[i]
				case "bad":
					faint = &d.Alerts.Alerts[i]
				}
			}
			if red == nil || d.Version != 7 {
				t.Fatalf("the red one is not accepted: %+v", d.Alerts)
			}
			if (faint != nil) != c.faint {
				t.Errorf("the bad one: %+v", faint)
			}
			if faint != nil && ((faint.Clip != nil) != c.clip || len(faint.Inline) > 0 || faint.Order || len(faint.Alert.Texts) == 0) {
				t.Errorf("the bad one: %+v", faint)
			}
			if len(d.Faults) == 0 && c.name != "an unknown class" {
				t.Error("nothing is told")
			}
			if err := d.Alerts.Check(); err != nil {
				t.Errorf("what was read may not be sealed: %v", err)
			}
		})
	}
}

func TestOfTooManyAlertsTheForemostAreRead(t *testing.T) {
	o := newCountyKeys()
	var all []link.AlertInForce
	for i := range 3 * link.MaxAlerts {
		a := flood(fmt.Sprint("blue ", i))
		a.Alert.Level = emergency.Blue
		all = append(all, a)
	}
	all = append(all, flood("red"))
	raw := must[link.Envelope](t)(link.Seal(link.TypeAlerts, link.AlertsState{Scope: "group:g", Version: 1, Alerts: all}, o.alert)).Bytes()
	d := must[link.Document](t)(link.Open(raw, o.trust))
	if len(d.Alerts.Alerts) != link.MaxAlerts || !slices.ContainsFunc(d.Alerts.Alerts, func(a link.AlertInForce) bool { return a.Alert.ID == "red" }) {
		t.Errorf("%d are read, without the red one", len(d.Alerts.Alerts))
	}
	if len(d.Unread)+link.MaxAlerts != len(all) || len(d.Faults) == 0 {
		t.Errorf("%d are named and not read, %v", len(d.Unread), d.Faults)
	}
}

func TestADocumentOfNothingButFaultsIsRefused(t *testing.T) {
	o := newCountyKeys()
	raw := must[link.Envelope](t)(link.Seal(link.TypeAlerts, link.AlertsState{Scope: "group:g", Version: 1, Alerts: []link.AlertInForce{{}, {}}}, o.alert)).Bytes()
	if d, err := link.Open(raw, o.trust); !errors.Is(err, playlist.ErrInvalid) {
		t.Errorf("it would end all that is in force: %+v, %v", d.Alerts, err)
	}
}

func TestTheWeightOfAnAlert(t *testing.T) {
	a := flood("a")
	w := must[link.Weight](t)(a.Weigh())
	if w.Text < 100 || w.Packed < 100 || !w.Fits(link.Room()) || link.Room().Fits(w) || w.Plus(w).Less(w) != w {
		t.Errorf("%+v of %+v", w, link.Room())
	}
	a.Alert.Shapes = []emergency.Shape{{Points: [][2]float64{{math.NaN(), 0}}}}
	if _, err := a.Weigh(); err == nil {
		t.Error("what cannot be written has a weight")
	}
}
