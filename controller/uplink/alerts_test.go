package uplink

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// bell is an alarm that remembers what it was told.
type bell struct {
	records  []emergency.Record
	received []playlist.AlertID
	stay     []playlist.AlertID
	emptied  []playlist.Scope // of which nothing stays in force
}

func (b *bell) PutInForce(_ context.Context, scope playlist.Scope, all []emergency.Record, stay []playlist.AlertID) error {
	for _, r := range all {
		b.received = append(b.received, r.ID)
	}
	b.stay = stay
	if len(all)+len(stay) == 0 {
		b.emptied = append(b.emptied, scope)
	}
	return nil
}

func (b *bell) Records(context.Context) ([]emergency.Record, error) { return b.records, nil }

func TestTheCountyHearsFirstOfWhatIsInForce(t *testing.T) {
	now := time.Now()
	b := &bell{}
	add := func(id string, l emergency.Level, s emergency.State, ago time.Duration) {
		b.records = append(b.records, emergency.Record{State: s, Received: now.Add(-ago), Alert: emergency.Alert{ID: playlist.AlertID(id), Class: emergency.ClassEmergency, Level: l}})
	}
	for i := range 2 * link.MaxAlerts {
		add(fmt.Sprint("over ", i), emergency.Red, emergency.StateDone, time.Duration(i)*time.Minute)
	}
	add("blue", emergency.Blue, emergency.StateWaiting, 30*time.Hour)
	add("red", emergency.Red, emergency.StateAiring, 40*time.Hour)
	u := New(Options{Alarm: b, Log: slog.New(slog.DiscardHandler)})
	all := u.alertProgress(t.Context())
	if len(all) != link.MaxAlerts || all[0].ID != "red" || all[1].ID != "blue" || all[2].ID != "over 0" {
		t.Errorf("%d are told: %+v", len(all), all[:3])
	}
}

// enrolled is the link of a controller of the group x, which rings the bell, and the
// key that signs its county's alerts.
func enrolled(t *testing.T, b *bell) (u *Uplink, alerts *link.Key) {
	dir := t.TempDir()
	store := must[*data.Store](t)(data.Open(t.Context(), dir, data.Options{Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(func() { _ = store.Close() })
	root, fleet, alerts := link.NewKey(), link.NewKey(), link.NewKey()
	trust := link.Trust{Version: 1}
	trust.Grant(link.RoleRoot, 1, root.Public())
	trust.Grant(link.RoleFleet, 1, fleet.Public())
	trust.Grant(link.RoleAlert, 1, alerts.Public())
	signed := must[link.Envelope](t)(link.SealTrust(trust, root)).Bytes()
	member := must[link.Envelope](t)(link.SealMember(link.Member{Controller: "daba-1", Version: 1, Areas: []playlist.Area{"320924100201"}, Groups: []string{"x"}}, fleet)).Bytes()
	for _, raw := range [][]byte{signed, member} {
		if err := (Wire{Store: store}).Keep(t.Context(), must[link.Document](t)(link.Open(raw, trust))); err != nil {
			t.Fatal(err)
		}
	}
	if err := link.WriteKey(filepath.Join(dir, "controller.key"), link.NewKey()); err != nil {
		t.Fatal(err)
	}
	u = New(Options{Alarm: b, Log: slog.New(slog.DiscardHandler), Store: store, Dir: dir})
	ctl, _, err := NewController(t.Context(), dir, store)
	if err != nil {
		t.Fatal(err)
	}
	u.ctl = ctl
	u.ctl.Log = u.Log
	return u, alerts
}

func TestAnAlertOfAWithdrawnKeyEndsIfTheCountyDoesNotHaveIt(t *testing.T) {
	b := &bell{records: []emergency.Record{{
		Source: playlist.AlertByLink, Scope: "group:x", State: emergency.StateAiring, Received: time.Now(), Alert: emergency.Alert{ID: "thief's"},
	}}}
	u, key := enrolled(t, b)
	look := func(why string, want ...playlist.Scope) {
		t.Helper()
		must[bool](t)(u.inspect(t.Context(), false))
		if !slices.Equal(b.emptied, want) {
			t.Errorf("%s: %q fall silent, want %q", why, b.emptied, want)
		}
		b.emptied = nil
	}
	look("before the county is asked")
	look("still before")
	u.hasSynced()
	look("the county has nothing for the scope", "group:x")
	state := link.AlertsState{Scope: "group:x", Version: 1, Alerts: []link.AlertInForce{{Alert: emergency.Alert{ID: "thief's"}}}}
	must[link.Document](t)(u.ctl.Take(t.Context(), must[link.Envelope](t)(link.SealAlerts(state, key)).Bytes()))
	look("the county has it")
	u.hasSynced()
	look("still")
}

// An alert that a document names and that could not be read is not withdrawn.
func TestWhatADocumentNamesStaysInForce(t *testing.T) {
	b := &bell{}
	u, _ := enrolled(t, b)
	u.putInForce(t.Context(), link.Document{
		Have: link.Have{Kind: link.KindAlerts, Scope: "group:x", Version: 2}, Unread: []playlist.AlertID{"unread"},
		Alerts: &link.AlertsState{Alerts: []link.AlertInForce{{Alert: emergency.Alert{ID: "read"}}}},
	})
	if !slices.Equal(b.received, []playlist.AlertID{"read"}) || !slices.Equal(b.stay, []playlist.AlertID{"unread"}) {
		t.Errorf("received %q, staying %q", b.received, b.stay)
	}
}
