package main

import (
	"encoding/json"
	"log/slog"
	"testing"

	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// After a county has replaced its fleet key it may take a while until each
// controller has a member document of the new one.
func TestTheCountysSlotsStayThoughItsFleetKeyIsReplaced(t *testing.T) {
	store := must[*data.Store](t)(data.Open(t.Context(), t.TempDir(), data.Options{Log: slog.New(slog.DiscardHandler)}))
	defer func() { _ = store.Close() }()
	const village = playlist.Area("320924100201")
	root := link.NewKey()
	trust := func(version int64, fleet *link.Key) link.Document {
		d := link.Trust{Version: version}
		d.Grant(link.RoleRoot, 1, root.Public())
		d.Grant(link.RoleFleet, 1, fleet.Public())
		raw := must[link.Envelope](t)(link.SealTrust(d, root)).Bytes()
		return must[link.Document](t)(link.Open(raw, d))
	}
	fleet := link.NewKey()
	first := trust(1, fleet)
	raw := must[link.Envelope](t)(link.SealMember(link.Member{Controller: "daba-1", Version: 1, Areas: []playlist.Area{village}}, fleet)).Bytes()
	for _, d := range []link.Document{first, must[link.Document](t)(link.Open(raw, *first.Trust)), trust(2, link.NewKey())} {
		if err := (wire{store}).Keep(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	scope := playlist.AreaScope(village)
	m := playlist.Manifest{Scope: scope, Version: 1, Slots: []playlist.Slot{{Name: "早间", Playlist: "健康", Cron: must[playlist.Cron](t)(playlist.ParseCron("30 7 * * *"))}}}
	if err := store.SetState(t.Context(), manifestState(scope), string(must[[]byte](t)(json.Marshal(m)))); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{}
	cfg.Site.Area, cfg.Outputs = village, []playlist.Output{{Name: "村口"}}
	if got, err := withCounty(t.Context(), store, cfg); err != nil || len(got.Slots) != 1 {
		t.Errorf("%d slots, %v", len(got.Slots), err)
	}
}
