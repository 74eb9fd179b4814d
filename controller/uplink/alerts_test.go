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
}

func (b *bell) PutInForce(_ context.Context, _ playlist.Scope, all []emergency.Record, stay []playlist.AlertID) error {
	for _, r := range all {
		b.received = append(b.received, r.ID)
	}
	b.stay = stay
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

// An alert that a document names and that could not be read is not withdrawn.
func TestWhatADocumentNamesStaysInForce(t *testing.T) {
	dir := t.TempDir()
	store := must[*data.Store](t)(data.Open(t.Context(), dir, data.Options{Log: slog.New(slog.DiscardHandler)}))
	defer func() { _ = store.Close() }()
	root, fleet := link.NewKey(), link.NewKey()
	trust := link.Trust{Version: 1}
	trust.Grant(link.RoleRoot, 1, root.Public())
	trust.Grant(link.RoleFleet, 1, fleet.Public())
	signed := must[link.Envelope](t)(link.SealTrust(trust, root)).Bytes()
	member := must[link.Envelope](t)(link.SealMember(link.Member{Controller: "daba-1", Version: 1, Areas: []playlist.Area{"320924100201"}}, fleet)).Bytes()
	for _, raw := range [][]byte{signed, member} {
		if err := (Wire{store}).Keep(t.Context(), must[link.Document](t)(link.Open(raw, trust))); err != nil {
			t.Fatal(err)
		}
	}
	if err := link.WriteKey(filepath.Join(dir, "controller.key"), link.NewKey()); err != nil {
		t.Fatal(err)
	}
	b := &bell{}
	u := New(Options{Alarm: b, Log: slog.New(slog.DiscardHandler), Store: store, Dir: dir})
	u.ctl = must[*link.Controller](t)(NewController(dir, store))
	u.ctl.Log = u.Log
	u.putInForce(t.Context(), link.Document{
		Have: link.Have{Kind: link.KindAlerts, Scope: "group:x", Version: 2}, Unread: []playlist.AlertID{"unread"},
		Alerts: &link.AlertsState{Alerts: []link.AlertInForce{{Alert: emergency.Alert{ID: "read"}}}},
	})
	if !slices.Equal(b.received, []playlist.AlertID{"read"}) || !slices.Equal(b.stay, []playlist.AlertID{"unread"}) {
		t.Errorf("received %q, staying %q", b.received, b.stay)
	}
}
