package diagnose_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/controller/diagnose"
	"dalaba/controller/site"
	"dalaba/controller/status"
	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

// Receipts wait only if a county is to have them; the doctor and the status say the
// same.
func TestReceiptsOfASiteWithoutACountyDoNotWait(t *testing.T) {
	ctx, dir, now := t.Context(), t.TempDir(), time.Now()
	file := filepath.Join(dir, "dalaba.toml")
	text := []byte("[site]\nname = \"x\"\narea = \"320924100201\"\ndata_dir = \"data\"\nclock = \"battery\"\n[[output]]\nname = \"east\"\ndevice = \"null:\"\n")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := data.Open(ctx, filepath.Join(dir, "data"), data.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if err := store.Record(ctx, asrun.Row{Airing: "a@1", Output: "east", Item: 1, Slot: "a", Due: now.UTC(), Outcome: asrun.Missed}); err != nil {
		t.Fatal(err)
	}
	look := func() (unsent status.Unsent, found string) {
		s, _, _, err := site.Look(ctx, file, text)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		st, err := status.Of(ctx, s, file, now, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		d, err := diagnose.Examine(ctx, file, say.English, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range d.Findings {
			if f.Check == "unsent" {
				found += f.Found[0].Key
			}
		}
		return st.Unsent, found
	}
	if got, found := look(); got.Receipts != 0 || !got.Oldest.IsZero() || !got.NoCounty || found != "doctor.unsent_no_county" {
		t.Errorf("without a county: %+v, %s", got, found)
	}
	if err := store.KeepDocument(ctx, data.Document{Kind: string(link.KindMember), Version: 1, Raw: []byte("{}")}, nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got, found := look(); got.Receipts != 1 || got.Oldest.IsZero() || got.NoCounty || found != "doctor.unsent" {
		t.Errorf("with a county: %+v, %s", got, found)
	}
}

// A county, or whatever stands between, may withhold documents.
func TestTheDoctorTellsWhatTheCountyHasAndDidNotArrive(t *testing.T) {
	ctx, dir, now := t.Context(), t.TempDir(), time.Now()
	file := filepath.Join(dir, "dalaba.toml")
	text := []byte("[site]\nname = \"x\"\narea = \"320924100201\"\ndata_dir = \"data\"\nclock = \"battery\"\n[[output]]\nname = \"east\"\ndevice = \"null:\"\n")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := data.Open(ctx, filepath.Join(dir, "data"), data.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	member, err := link.SealMember(link.Member{Controller: "daba-1", Version: 1}, link.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	doc := data.Document{Kind: string(link.KindMember), Scope: "controller:daba-1", Version: 1, Digest: member.Digest(), Raw: member.Bytes()}
	if err := store.KeepDocument(ctx, doc, nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	look := func(lags ...data.Lag) (zh, en []string) {
		t.Helper()
		if err := errors.Join(store.SetSynced(ctx, now), store.SetLags(ctx, lags)); err != nil {
			t.Fatal(err)
		}
		d, err := diagnose.Examine(ctx, file, say.English, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range d.Findings {
			for _, m := range f.Found {
				if f.Check == "link" {
					zh, en = append(zh, string(f.Result)+" "+m.In(say.Chinese)), append(en, string(f.Result)+" "+m.In(say.English))
				}
			}
			if f.Check == "link" && f.Result == diagnose.Warn && len(f.Remedy) == 0 {
				t.Error("it does not say what to do")
			}
		}
		return zh, en
	}
	zh, en := look(data.Lag{Kind: "manifest", Scope: "area:320924100000", Version: 7, Here: 5}, data.Lag{Kind: "trust", Version: 3})
	wantZH := []string{"warn 县平台说节目单（area:320924100000）已到第 7 版，这里还是第 5 版", "warn 县平台说可信密钥已到第 3 版，这里没有收到"}
	wantEN := []string{"warn programme (area:320924100000): the county says version 7; here it is version 5", "warn trusted keys: the county says version 3; here there is none"}
	if !slices.Equal(zh, wantZH) || !slices.Equal(en, wantEN) {
		t.Errorf("%q, %q", zh, en)
	}
	if _, en := look(); len(en) != 1 || !strings.HasPrefix(en[0], "ok ") {
		t.Errorf("once all is here: %q", en)
	}
}
