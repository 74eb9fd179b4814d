package diagnose_test

import (
	"log/slog"
	"os"
	"path/filepath"
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
	if err := store.KeepDocument(ctx, data.Document{Kind: string(link.KindMember), Version: 1, Raw: []byte("{}")}, nil); err != nil {
		t.Fatal(err)
	}
	if got, found := look(); got.Receipts != 1 || got.Oldest.IsZero() || got.NoCounty || found != "doctor.unsent" {
		t.Errorf("with a county: %+v, %s", got, found)
	}
}
