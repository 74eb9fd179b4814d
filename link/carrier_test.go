package link_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dalaba/data/shared"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

// load writes the documents in force for two controllers to a carrier.
func load(t *testing.T, w *world, clips map[playlist.ClipID][]byte) link.Carrier {
	t.Helper()
	c := link.Carrier{Dir: t.TempDir()}
	for _, d := range w.ledger.docs {
		if err := c.PutDocument(d); err != nil {
			t.Fatal(err)
		}
	}
	for id, b := range clips {
		if err := c.PutClip(id, bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestACarrierDeliversWhatTheNetworkDoes(t *testing.T) {
	w := newWorld(t)
	a, b := w.enrol("daba-1", []playlist.Area{village}), w.enrol("daba-2", []playlist.Area{"320924101203"})
	clip, data := sound(5000, 1)
	missing, _ := sound(5000, 2)
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 4, clip, missing))
	w.ledger.issue(t, w.countyKeys.alerts(t, playlist.AreaScope(county), 2, flood("f")))
	stick := load(t, w, map[playlist.ClipID][]byte{clip.ID: data})
	a.memory.air("e1", 430)
	a.memory.air("e2", 3)
	b.memory.air("e9", 5)

	r, err := a.c.Import(t.Context(), stick)
	if err != nil || len(r.Accepted) != 2 || r.Known != 2 || r.Others != 1 || len(r.Refused) != 0 {
		t.Errorf("first village: %+v, %v", r, err)
	}
	if len(r.Clips) != 1 || len(r.Missing) != 1 || r.Missing[0] != missing.ID || !bytes.Equal(a.memory.clips[clip.ID], data) || r.Receipts != 433 {
		t.Errorf("first village: %+v", r)
	}
	if r, err := b.c.Import(t.Context(), stick); err != nil || len(r.Accepted) != 1 || r.Receipts != 5 {
		t.Errorf("second village: %+v, %v", r, err)
	}
	if a.memory.unsent() != 433 {
		t.Error("receipts count as sent before the county has them")
	}

	e := &link.Edge{Store: w.ledger, Key: w.countyKeys.edge, Log: quiet()}
	for range 2 { // the second import changes nothing
		r, err = e.Import(t.Context(), stick)
		if err != nil || len(r.Refused) != 0 || len(r.Gaps) != 0 {
			t.Errorf("the county: %+v, %v", r, err)
		}
	}
	if r.Receipts != 0 {
		t.Errorf("%d receipts were new the second time", r.Receipts)
	}
	for id, want := range map[string]int64{"daba-1/e1": 430, "daba-1/e2": 3, "daba-2/e9": 5} {
		if w.ledger.marks[id] != want {
			t.Errorf("%s: the county has %d", id, w.ledger.marks[id])
		}
	}
	for k, n := range w.ledger.rows {
		if n != 1 {
			t.Errorf("%s is there %d times", k, n)
		}
	}

	a.memory.air("e2", 2)
	if r, err = a.c.Import(t.Context(), stick); err != nil || r.Receipts != 2 || a.memory.unsent() != 2 {
		t.Errorf("on the way back: %+v, %v, %d unsent", r, err, a.memory.unsent())
	}
	if left, _ := os.ReadDir(filepath.Join(stick.Dir, "receipts", "daba-1")); len(left) != 1 {
		t.Errorf("%d batches lie on the stick", len(left))
	}
	a.memory.marks["e1"], a.memory.marks["e2"] = 430, 5 // meanwhile the network came back
	if _, err = a.c.Import(t.Context(), stick); err != nil || a.memory.marks["e2"] != 5 {
		t.Errorf("an old stamp took the mark back to %d, %v", a.memory.marks["e2"], err)
	}
}

func TestACarrierIsVerifiedLikeTheNetwork(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	clip, data := sound(5000, 1)
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 4, clip))
	evil := newCountyKeys()
	dir := load(t, w, map[playlist.ClipID][]byte{clip.ID: data}).Dir
	put := func(name string, b []byte) {
		t.Helper()
		full := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	put("documents/alerts.z.json", evil.alerts(t, playlist.AreaScope(town), 99, flood("evil")))
	put("documents/trust.z.json", evil.sealTrust(t, evil.trust, evil.roots[0], evil.roots[1]))
	put("documents/huge.json", bytes.Repeat([]byte(" "), link.MaxEnvelope+10))
	put("documents/readme.txt", []byte("no document"))
	put("clips/"+string(clip.ID)+".mp3", append([]byte{1}, data[1:]...))
	put("stamps/daba-1.json", must[link.Envelope](t)(link.Seal(link.TypeStamp, link.Stamp{Controller: "daba-1", Marks: []link.Mark{{Epoch: "e1", Seq: 3}}}, evil.edge)).Bytes())
	secret := filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(secret, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "documents", "link.json")); err != nil {
		t.Fatal(err)
	}
	b.memory.air("e1", 3)
	r, err := b.c.Import(t.Context(), link.Carrier{Dir: dir})
	if err != nil || len(r.Accepted) != 1 || len(r.Clips) != 0 || len(r.Missing) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for name, want := range map[string]error{
		"documents/alerts.z.json": link.ErrSignature, "documents/trust.z.json": link.ErrSignature, "documents/huge.json": link.ErrOversized,
		"clips/" + string(clip.ID) + ".mp3": link.ErrMalformed, "stamps/daba-1.json": link.ErrSignature, "documents/link.json": shared.ErrLink,
	} {
		if !errors.Is(r.Refused[name], want) {
			t.Errorf("%s: %v", name, r.Refused[name])
		}
	}
	if len(r.Refused) != 6 || b.memory.unsent() != 3 {
		t.Errorf("%d refused, %d unsent", len(r.Refused), b.memory.unsent())
	}

	// The county verifies them too.
	thief := link.NewKey()
	forged := must[link.Envelope](t)(link.SealBatch(link.Batch{Controller: "daba-1", Epoch: "e1", Receipts: onWire(b.memory.out["e1"])}, thief))
	put("receipts/daba-1/e1-000000000001.json", forged.Bytes())
	put("receipts/daba-9/e1-000000000001.json", forged.Bytes())
	late := must[link.Envelope](t)(link.SealBatch(link.Batch{Controller: "daba-1", Epoch: "e2",
		Receipts: []link.Receipt{{Receipt: asrun.Receipt{Row: asrun.Row{Airing: "a", Output: "o", Seq: 7}}}}}, b.key))
	put("receipts/daba-1/e2-000000000007.json", late.Bytes())
	got, err := (&link.Edge{Store: w.ledger, Key: w.countyKeys.edge, Log: quiet()}).Import(t.Context(), link.Carrier{Dir: dir})
	if err != nil || got.Receipts != 0 || len(w.ledger.rows) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if !errors.Is(got.Refused["receipts/daba-1/e1-000000000001.json"], link.ErrSignature) ||
		!errors.Is(got.Refused["receipts/daba-9/e1-000000000001.json"], link.ErrUnknown) || got.Gaps["daba-1/e2"][0] != 1 {
		t.Errorf("refused %v, gaps %v", got.Refused, got.Gaps)
	}
}

func TestACarrierReportsReceiptsThatTheCountyCannotKeep(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	stick := link.Carrier{Dir: t.TempDir()}
	b.memory.air("e1", 230)
	b.memory.out["e1"][3].Row.Output = ""
	b.memory.out["e1"][222].Row.LevelDB = math.NaN()
	carry := func() {
		t.Helper()
		if r, err := b.c.Import(t.Context(), stick); err != nil || len(r.Refused) != 0 {
			t.Fatalf("at the controller: %+v, %v", r, err)
		}
		if r, err := (&link.Edge{Store: w.ledger, Key: w.countyKeys.edge, Log: quiet()}).Import(t.Context(), stick); err != nil || len(r.Refused) != 0 {
			t.Fatalf("at the county: %+v, %v", r, err)
		}
	}
	carry()
	carry()
	if got := b.memory.setAside(); !slices.Equal(got, []string{"e1/4", "e1/223"}) || b.memory.unsent() != 0 {
		t.Errorf("set aside: %v, %d unsent", got, b.memory.unsent())
	}
	w.ledger.once(t, "daba-1", b.memory)
}

func TestACarrierBringsReceiptsAgainToACountyRestoredFromABackup(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	stick := link.Carrier{Dir: t.TempDir()}
	round := func() (there, back link.Carried) {
		t.Helper()
		there, err := b.c.Import(t.Context(), stick)
		if err != nil || len(there.Refused) != 0 {
			t.Fatalf("at the controller: %+v, %v", there, err)
		}
		back, err = (&link.Edge{Store: w.ledger, Key: w.countyKeys.edge, Log: quiet()}).Import(t.Context(), stick)
		if err != nil || len(back.Refused) != 0 {
			t.Fatalf("at the county: %+v, %v", back, err)
		}
		return there, back
	}
	b.memory.air("e1", 20)
	round()
	if round(); b.memory.unsent() != 0 {
		t.Fatalf("%d unsent", b.memory.unsent())
	}
	w.ledger.marks["daba-1/e1"] = 10
	for seq := 11; seq <= 20; seq++ {
		delete(w.ledger.rows, fmt.Sprintf("daba-1/e1/%d", seq))
	}
	b.memory.air("e1", 10)
	if _, r := round(); r.Gaps["daba-1/e1"][0] != 11 {
		t.Errorf("gaps %v", r.Gaps)
	}
	if r, _ := round(); r.Receipts != 20 {
		t.Errorf("%d receipts go again", r.Receipts)
	}
	if r, _ := round(); r.Receipts != 0 || b.memory.unsent() != 0 {
		t.Errorf("%d receipts go once more, %d unsent", r.Receipts, b.memory.unsent())
	}
	w.ledger.once(t, "daba-1", b.memory)
}

// clipRefuser is a controller's store that cannot keep one clip.
type clipRefuser struct {
	*memory
	but playlist.ClipID
}

func (p clipRefuser) PutClip(ctx context.Context, c playlist.Clip, src io.Reader) error {
	if c.ID == p.but {
		return errors.New("no space left on device")
	}
	return p.memory.PutClip(ctx, c, src)
}

func TestAClipThatCannotBeStoredDelaysNothingElse(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	clips, at := []playlist.Clip{}, map[playlist.ClipID][]byte{}
	for n := range byte(3) {
		clip, data := sound(5000, n)
		clips, at[clip.ID] = append(clips, clip), data
	}
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 4, clips...))
	b.c.Store = clipRefuser{b.memory, clips[1].ID}
	b.memory.air("e1", 3)
	r, err := b.c.Import(t.Context(), load(t, w, at))
	if err != nil || len(r.Clips) != 2 || !slices.Equal(r.Missing, []playlist.ClipID{clips[1].ID}) || r.Receipts != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if len(r.Refused) != 1 || r.Refused["clips/"+string(clips[1].ID)+".mp3"] == nil {
		t.Errorf("refused %v", r.Refused)
	}
}

// onWire returns receipts as they go over the wire.
func onWire(some []asrun.Receipt) (all []link.Receipt) {
	for _, r := range some {
		all = append(all, link.Receipt{Receipt: r})
	}
	return all
}
