package data_test

import (
	"errors"
	"testing"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

func TestAlertsAreStoredInTheirPresentState(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	a := emergency.Record{
		Alert:  emergency.Alert{ID: "a", Kind: emergency.KindRequest, Areas: []playlist.Area{"320924000000"}, NotAfter: due},
		Source: playlist.AlertByHand, Received: due, State: emergency.StateWaiting,
	}
	must(t, s.SaveAlerts(t.Context(), emergency.Change{
		Records: []emergency.Record{a}, Counters: emergency.Counters{"north": 1<<32 - 1},
	}, []byte("<alert/>")))
	a.State = emergency.StateCancelled
	b := a
	b.ID, b.Received = "b", due.Add(1)
	must(t, s.SaveAlerts(t.Context(), emergency.Change{
		Records: []emergency.Record{b, a}, Retired: []emergency.Retired{{ID: "a", By: "b", Reason: emergency.ReasonSuperseded, At: due}},
	}, nil))
	must(t, s.Close())
	s = open(t, dir)
	k, err := s.KeptAlerts(t.Context())
	if err != nil || len(k.Records) != 2 || len(k.Retired) != 1 || k.Counters["north"] != 1<<32-1 {
		t.Fatalf("%v %v", k, err)
	}
	for _, r := range k.Records {
		if r.State != emergency.StateCancelled || !r.NotAfter.Equal(due) || r.Source != playlist.AlertByHand {
			t.Errorf("%+v", r)
		}
	}
	if k.Retired[0] != (emergency.Retired{ID: "a", By: "b", Reason: emergency.ReasonSuperseded, At: due}) {
		t.Errorf("%+v", k.Retired[0])
	}
	if raw, err := s.AlertRaw(t.Context(), "a"); err != nil || string(raw) != "<alert/>" {
		t.Errorf("%q %v", raw, err)
	}
	must(t, s.SaveAlerts(t.Context(), emergency.Change{Retired: []emergency.Retired{{ID: "c", By: "b", At: due}}}, nil))
	must(t, s.SaveAlerts(t.Context(), emergency.Change{Restored: []playlist.AlertID{"c"}}, nil))
	must(t, s.ForgetAlerts(t.Context(), []playlist.AlertID{"a"}))
	if _, err := s.AlertRaw(t.Context(), "a"); !errors.Is(err, data.ErrNotFound) {
		t.Error(err)
	}
	if k, _ := s.KeptAlerts(t.Context()); len(k.Records) != 1 || len(k.Retired) != 0 || k.Counters["north"] != 1<<32-1 {
		t.Errorf("%v", k)
	}
}

func TestAnAlertsRowSaysWhetherClipOrSpeechSounded(t *testing.T) {
	s := open(t, t.TempDir())
	for i, output := range []string{"square", "school"} {
		r := row(output, 1, 1, clipID([]string{"a", "b"}[i])) // each output may play another clip
		r.Airing, r.Alert, r.Used, r.Slot, r.Playlist = playlist.AlertID("x").Airing(), "x", []asrun.Used{asrun.UsedClip, asrun.UsedSpeech}[i], "", ""
		claim(t, s, r, nil, nil)
		end(t, s, r.Key(), heard(48000))
	}
	rows, err := s.Rows(t.Context(), playlist.AlertID("x").Airing())
	if err != nil || len(rows) != 2 || rows[0].Alert != "x" || rows[0].Used != asrun.UsedSpeech || rows[1].Used != asrun.UsedClip {
		t.Errorf("%+v %v", rows, err)
	}
}
