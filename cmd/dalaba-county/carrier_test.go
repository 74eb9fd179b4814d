package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/link"
	"dalaba/playlist"
)

// A stick for some has all that they follow, and nothing that only others do.
func TestAStickHasWhatItsControllersFollow(t *testing.T) {
	const (
		whole     = playlist.Area("341523000000")
		town      = playlist.Area("341523100000")
		village   = playlist.Area("341523100201")
		otherTown = playlist.Area("341523101000")
	)
	dir := t.TempDir()
	trust, err := county.MakeKeys(filepath.Join(dir, "keys"), link.Trust{Version: 1, Issued: time.Now().UTC()})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := county.ReadKeys(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	docs := []county.Held{{Have: link.Have{Kind: link.KindTrust, Version: 1}, Raw: trust.Bytes()}}
	second, err := link.AcceptTrust(trust.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	second.Version = 2
	var roots []link.Signer
	for n := range 2 {
		key, err := link.ReadKey(filepath.Join(dir, "keys", county.RootKey(n+1)))
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, key)
	}
	trust, err = link.SealTrust(second, roots...)
	if err != nil {
		t.Fatal(err)
	}
	docs = append(docs, county.Held{Have: link.Have{Kind: link.KindTrust, Version: 2}, Raw: trust.Bytes()})
	add := func(kind link.Kind, scope playlist.Scope, e link.Envelope, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, county.Held{Have: link.Have{Kind: kind, Scope: scope, Version: 1, Digest: e.Digest()}, Raw: e.Bytes()})
	}
	for _, m := range []link.Member{
		{Controller: "daba", Areas: []playlist.Area{village}, Groups: []string{"schools"}},
		{Controller: "near", Areas: []playlist.Area{"341523100202"}},
		{Controller: "far", Areas: []playlist.Area{"341523101201"}},
		{Controller: "gone", Areas: []playlist.Area{"341523102201"}, Retired: true},
	} {
		m.Version = 1
		e, err := link.SealMember(m, keys.Fleet)
		add(link.KindMember, playlist.ControllerScope(m.Controller), e, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "clips"), 0o700); err != nil {
		t.Fatal(err)
	}
	clips := map[playlist.Scope]string{}
	manifest := func(scope playlist.Scope, by link.Signer) {
		t.Helper()
		sound := []byte(scope)
		sum := sha256.Sum256(sound)
		id := hex.EncodeToString(sum[:])
		clips[scope] = id
		if err := os.WriteFile(filepath.Join(dir, "clips", id+".mp3"), sound, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := link.SealManifest(playlist.Manifest{
			Scope: scope, Version: 1, Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{},
			Clips: []playlist.Clip{{ID: playlist.ClipID(id), Frames: 48000, Size: int64(len(sound))}},
		}, by)
		add(link.KindManifest, scope, e, err)
	}
	for _, s := range []playlist.Scope{
		playlist.AreaScope(whole), playlist.AreaScope(town), playlist.AreaScope(otherTown), playlist.GroupScope("schools"),
		playlist.ControllerScope("daba"), playlist.ControllerScope("near"),
	} {
		manifest(s, keys.Playlist)
	}
	manifest(playlist.AreaScope(village), link.NewKey()) // the key was replaced since
	alerts, err := link.SealAlerts(link.AlertsState{Scope: playlist.AreaScope(whole), Version: 1}, keys.Alert)
	add(link.KindAlerts, playlist.AreaScope(whole), alerts, err)

	for _, c := range []struct {
		name string
		to   target
		want []playlist.Scope
	}{
		{"everybody", target{}, []playlist.Scope{"area:341523000000", "area:341523100000", "area:341523101000", "controller:daba", "controller:near", "group:schools"}},
		{"a controller", target{controllers: []string{"daba"}}, []playlist.Scope{"area:341523000000", "area:341523100000", "controller:daba", "group:schools"}},
		{"a town", target{areas: []string{string(town)}}, []playlist.Scope{"area:341523000000", "area:341523100000", "controller:daba", "controller:near", "group:schools"}},
		{"a group", target{groups: []string{"schools"}}, []playlist.Scope{"area:341523000000", "area:341523100000", "controller:daba", "group:schools"}},
		{"two", target{controllers: []string{"far", "near"}}, []playlist.Scope{"area:341523000000", "area:341523100000", "area:341523101000", "controller:near"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			stick := t.TempDir()
			var out bytes.Buffer
			a := &app{App: cli.New("dalaba-county", nil, strings.NewReader(""), &out, &out)}
			a.JSON = true
			s := &settings{}
			s.County.DataDir = dir
			if err := a.export(s, docs, link.Carrier{Dir: stick}, c.to); err != nil {
				t.Fatal(err)
			}
			var told exported
			if err := json.Unmarshal(out.Bytes(), &told); err != nil {
				t.Fatal(err)
			}
			if told.Documents != 2+4+len(c.want)+1 || told.Clips != len(c.want) || len(told.Skipped) != 1 || told.Skipped["manifest area:"+string(village)] == "" {
				t.Errorf("told %+v", told)
			}
			files, err := filepath.Glob(filepath.Join(stick, "documents", "manifest.*"))
			if err != nil || len(files) != len(c.want) {
				t.Errorf("%d manifests on the stick, %v", len(files), err)
			}
			for name, version := range map[string]int64{"trust.0000000000000001.json": 1, "trust.json": 2} {
				raw, err := os.ReadFile(filepath.Join(stick, "documents", name))
				if err != nil {
					t.Fatal(err)
				}
				if v, err := link.AcceptTrust(raw, nil); err != nil || v.Version != version {
					t.Errorf("%s holds version %d, %v", name, v.Version, err)
				}
			}
			for scope, id := range clips {
				_, err := os.Stat(filepath.Join(stick, "clips", id+".mp3"))
				if want := slices.Contains(c.want, scope); want != (err == nil) {
					t.Errorf("clip of %s: want it %v, %v", scope, want, err)
				}
			}
		})
	}
	for _, to := range []target{{controllers: []string{"dbaa"}}, {areas: []string{"341523102000"}}} {
		a := &app{App: cli.New("dalaba-county", nil, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})}
		var refused cli.Refused
		if err := a.export(&settings{}, docs, link.Carrier{Dir: t.TempDir()}, to); !errors.As(err, &refused) {
			t.Errorf("%+v, whom there is not: %v", to, err)
		}
	}
}
