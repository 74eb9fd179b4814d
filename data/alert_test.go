package data_test

import (
	"errors"
	"testing"

	"dalaba/data"
	"dalaba/playlist"
)

func TestAlertsAreKeptAsTheyStand(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	a := playlist.AlertRecord{
		Alert:  playlist.Alert{ID: "a", Kind: playlist.AlertRequest, Areas: []playlist.Area{"320924000000"}, NotAfter: due},
		Source: playlist.AlertByHand, Received: due, State: playlist.AlertWaiting,
	}
	must(t, s.SaveAlerts(t.Context(), playlist.Change{Records: []playlist.AlertRecord{a}}, []byte("<alert/>")))
	a.State = playlist.AlertCancelled
	b := a
	b.ID, b.Received = "b", due.Add(1)
	must(t, s.SaveAlerts(t.Context(), playlist.Change{
		Records: []playlist.AlertRecord{b, a}, Retired: []playlist.Retired{{ID: "a", By: "b", Reason: playlist.AlertReasonSuperseded, At: due}},
	}, nil))
	must(t, s.Close())
	s = open(t, dir)
	records, retired, err := s.Alerts(t.Context())
	if err != nil || len(records) != 2 || len(retired) != 1 {
		t.Fatalf("%v %v %v", records, retired, err)
	}
	for _, r := range records {
		if r.State != playlist.AlertCancelled || !r.NotAfter.Equal(due) || r.Source != playlist.AlertByHand {
			t.Errorf("%+v", r)
		}
	}
	if retired[0] != (playlist.Retired{ID: "a", By: "b", Reason: playlist.AlertReasonSuperseded, At: due}) {
		t.Errorf("%+v", retired[0])
	}
	if raw, err := s.AlertRaw(t.Context(), "a"); err != nil || string(raw) != "<alert/>" {
		t.Errorf("%q %v", raw, err)
	}
	must(t, s.ForgetAlerts(t.Context(), []playlist.AlertID{"a"}))
	if _, err := s.AlertRaw(t.Context(), "a"); !errors.Is(err, data.ErrNotFound) {
		t.Error(err)
	}
	if records, retired, _ := s.Alerts(t.Context()); len(records) != 1 || len(retired) != 0 {
		t.Errorf("%v %v", records, retired)
	}
}

func TestAnAlertsRowSaysWhatItWasSoundedWith(t *testing.T) {
	s := open(t, t.TempDir())
	for i, output := range []string{"square", "school"} {
		r := row(output, 1, 1, clipID([]string{"a", "b"}[i])) // each may hear another clip
		r.Airing, r.Alert, r.Used, r.Slot, r.Playlist = playlist.AlertAiringID("x"), "x", []playlist.Used{playlist.UsedClip, playlist.UsedSpeech}[i], "", ""
		claim(t, s, r, nil, nil)
		end(t, s, r.Key(), heard(48000))
	}
	rows, err := s.Rows(t.Context(), playlist.AlertAiringID("x"))
	if err != nil || len(rows) != 2 || rows[0].Alert != "x" || rows[0].Used != playlist.UsedSpeech || rows[1].Used != playlist.UsedClip {
		t.Errorf("%+v %v", rows, err)
	}
}
