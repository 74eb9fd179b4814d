package link_test

import (
	"fmt"
	"slices"
	"testing"

	"dalaba/link"
	"dalaba/playlist"
)

// A card was copied into a second box, which sends other receipts under the same numbers.
func TestReceiptsUnderNumbersThatAreTakenGetNewOnes(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	b.memory.air("epoch", 5)
	w.ledger.mu.Lock()
	w.ledger.taken = []string{"daba-1/epoch/4"} // by the other box
	w.ledger.marks["daba-1/epoch"] = 9
	w.ledger.mu.Unlock()
	if err := b.memory.SetMark(t.Context(), link.Mark{Epoch: "epoch", Seq: 3}); err != nil {
		t.Fatal(err)
	}
	w.run(b.c.Run)
	eventually(t, "all receipts are with the county", func() bool { return b.memory.unsent() == 0 })
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	var got []string
	for k := range w.ledger.rows {
		got = append(got, k)
	}
	slices.Sort(got)
	if want := []string{"daba-1/epoch-next/1", "daba-1/epoch-next/2"}; !slices.Equal(got, want) {
		t.Errorf("the county has %v, want %v", got, want)
	}
}

// The same by sticks. The two boxes write the same file names.
func TestAStampForACopyOfACardLosesNothing(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	b.memory.air("epoch", 5)
	copied := newMemory()
	for _, d := range must[[]link.Stored](t)(b.memory.Documents(t.Context())) {
		doc := must[link.Document](t)(link.OpenKept(d))
		if err := copied.Keep(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	copied.air("epoch", 6)
	for i := range copied.out["epoch"] {
		copied.out["epoch"][i].Row.Boot = "of the copy"
	}
	twin := &link.Controller{Key: b.key, Store: copied, Log: quiet(), Boot: "boot-2"}
	stick := link.Carrier{Dir: t.TempDir()}
	visit := func(c *link.Controller) {
		t.Helper()
		if _, err := c.Import(t.Context(), stick); err != nil {
			t.Fatal(err)
		}
	}
	home := func() {
		t.Helper()
		if _, err := (&link.Edge{Store: w.ledger, Key: w.countyKeys.edge, Log: quiet()}).Import(t.Context(), stick); err != nil {
			t.Fatal(err)
		}
	}
	visit(b.c)
	visit(twin) // instead of those of the first
	home()
	visit(b.c) // finds a stamp that is for the other
	if n := b.memory.unsent(); n != 5 {
		t.Fatalf("of 5 receipts that the county does not have, %d are to be sent", n)
	}
	w.ledger.mu.Lock()
	for seq := range 6 {
		w.ledger.taken = append(w.ledger.taken, fmt.Sprintf("daba-1/epoch/%d", seq+1))
	}
	w.ledger.mu.Unlock()
	home()
	visit(b.c) // is told that its numbers are taken
	home()
	visit(b.c)
	if n := b.memory.unsent(); n != 0 {
		t.Errorf("%d are still to be sent", n)
	}
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for seq := range 5 {
		if _, ok := w.ledger.rows[fmt.Sprintf("daba-1/epoch-next/%d", seq+1)]; !ok {
			t.Errorf("the county lacks receipt %d", seq+1)
		}
	}
}
