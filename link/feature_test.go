package link_test

import (
	"cmp"
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

func TestASyncSaysWhatItsProgramUnderstands(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	want := []string{"slot-voice", "alert-siren"}
	b.c.Health = func(context.Context) link.Health { return link.Health{Program: "test", Understands: want} }
	w.run(b.c.Run)
	eventually(t, "a sync has come", func() bool { return w.ledger.syncs() > 0 })
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	if got := w.ledger.seen[0].Request.Health.Understands; !slices.Equal(got, want) {
		t.Errorf("the county reads %q, want %q", got, want)
	}
}

// Syncs as controllers of other versions send them to an edge of this version.
func TestAnEdgeAcceptsTheSyncsOfOlderAndNewerControllers(t *testing.T) {
	w := newWorld(t)
	w.edge()
	w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 1))
	b := w.enrol("daba-1", []playlist.Area{village})
	nc := must[*nats.Conn](t)(w.login(b, b.key))
	defer nc.Close()
	for _, c := range []struct {
		name, sync  string
		understands int
	}{
		{"release 0.1", `{"controller":"daba-1","nonce":"n","have":null,"marks":null,"clock":"trusted","boot":"b","mono_ms":1,
			"health":{"program":"0.1","site":"大坝","area":"","outputs":[{"name":"村口","device":"null:","state":"ok","area":"","residents":4}],"store":"ok"}}`, 0},
		{"a later release", `{"controller":"daba-1","nonce":"n","weather":{"rain":true},"have":[{"kind":"songs","scope":"group:g","version":1,"digest":"d","x":1}],
			"marks":[{"epoch":"e","seq":0,"x":1}],"health":{"program":"9","understands":["slot-voice","never-heard"],"mood":"glad",
			"outputs":[{"name":"村口","horns":2}],"progress":[{"scope":"group:g","version":1,"x":1}],"alerts":[{"id":"a","x":1}]},
			"events":[{"id":1,"message":"m","x":1}]}`, 2},
	} {
		m := must[*nats.Msg](t)(nc.Request("sync.daba-1", link.Pack([]byte(c.sync)), patience))
		a := must[link.SyncAnswer](t)(link.ParseAnswer(m.Data))
		s, err := link.OpenStamp(a.Stamp, w.countyKeys.trust, "daba-1", "n")
		if err != nil || s.Refused != "" || len(a.Envelopes) == 0 || s.InForce != nil { // release 0.1 refuses a stamp with a field more
			t.Errorf("%s: refused %q, %d envelopes, %v", c.name, s.Refused, len(a.Envelopes), err)
		}
		w.ledger.mu.Lock()
		last := w.ledger.seen[len(w.ledger.seen)-1].Request
		w.ledger.mu.Unlock()
		if len(last.Health.Outputs) != 1 || len(last.Health.Understands) != c.understands {
			t.Errorf("%s: the county reads %+v", c.name, last.Health)
		}
	}
}

// Each message has one more field, as a later program would write it.
func TestOnlySignedStateIsRefusedForAnUnknownField(t *testing.T) {
	o, key := newCountyKeys(), link.NewKey()
	// more returns a document as a later program writes it, with one more field.
	more := func(doc any) map[string]any {
		fields := map[string]any{}
		if err := json.Unmarshal(must[[]byte](t)(json.Marshal(doc)), &fields); err != nil {
			t.Fatal(err)
		}
		fields["later"] = map[string]any{"x": 1}
		return fields
	}
	sealed := func(typ string, doc any, by ...link.Signer) link.Envelope {
		return must[link.Envelope](t)(link.Seal(typ, more(doc), by...))
	}
	state := func(typ string, doc any, by ...link.Signer) error {
		_, err := link.Open(sealed(typ, doc, by...).Bytes(), o.trust)
		return err
	}
	next := o.trust
	next.Version++
	for _, c := range []struct {
		name    string
		err     error
		refused bool
	}{
		{"trust", state(link.TypeTrust, next, o.roots[0], o.roots[1]), true},
		{"member", state(link.TypeMember, link.Member{Controller: "daba-1", Version: 1}, o.fleet), true},
		{"manifest", state(link.TypeManifest, playlist.Manifest{Scope: "group:g", Version: 1}, o.playlist), true},
		{"alerts", state(link.TypeAlerts, link.AlertsState{Scope: "group:g", Version: 1, Alerts: []link.AlertInForce{flood("a")}}, o.alert), false},
		{"a request", func() error {
			_, err := link.ParseSync(link.Pack(must[[]byte](t)(json.Marshal(more(link.SyncRequest{Controller: "daba-1"})))))
			return err
		}(), false},
		{"a response", func() error {
			_, err := link.ParseAnswer(link.Pack(must[[]byte](t)(json.Marshal(more(link.SyncAnswer{Stamp: json.RawMessage("{}")})))))
			return err
		}(), false},
		{"a stamp", func() error {
			_, err := link.OpenStamp(sealed(link.TypeStamp, link.Stamp{Controller: "daba-1", Nonce: "n"}, o.edge).Bytes(), o.trust, "daba-1", "n")
			return err
		}(), false},
		{"receipts", func() error {
			b := link.Batch{Controller: "daba-1", Epoch: "e", Receipts: []link.Receipt{{Receipt: asrun.Receipt{Row: asrun.Row{Seq: 1, Airing: "a", Output: "o"}}}}}
			_, err := link.OpenBatch(sealed(link.TypeReceipts, b, key), key.Public())
			return err
		}(), false},
	} {
		if c.refused != errors.Is(c.err, link.ErrMalformed) || !c.refused && c.err != nil {
			t.Errorf("%s: %v, want it refused: %v", c.name, c.err, c.refused)
		}
	}
}

func TestEachFeatureHasANameAndAUse(t *testing.T) {
	names := link.Understood()
	for i, f := range link.Features() {
		if f.Name != names[i] || slices.Index(names, f.Name) != i || !playlist.IsToken(f.Name) {
			t.Errorf("feature %d: the name %q", i, f.Name)
		}
		if f.InManifest == nil && f.LeaveOut == nil && !f.InStamp && !f.InMember {
			t.Errorf("%s is of no document", f.Name)
		}
	}
	if names == nil {
		t.Error("a controller that understands nothing more does not say so")
	}
}

// cameWith are fields whose feature has another name, because none of them came without the
// others.
var cameWith = map[string]string{
	"manifest-exceptions-slot": "manifest-exceptions", "manifest-exceptions-days": "manifest-exceptions",
	"manifest-exceptions-from": "manifest-exceptions", "manifest-exceptions-to": "manifest-exceptions",
	"manifest-exceptions-at": "manifest-exceptions",
}

// A file lists the fields of documents that release 0.1 knows, one on a line. A field
// that is not in it is a feature: the list of features must have its name.
func TestAFieldSinceRelease01IsAFeature(t *testing.T) {
	released := strings.Fields(string(must[[]byte](t)(os.ReadFile(filepath.Join("testdata", "fields-0.1.txt")))))
	all := append(fieldsOf("manifest", reflect.TypeFor[playlist.Manifest]()), fieldsOf("state", reflect.TypeFor[link.AlertsState]())...)
	for _, f := range all {
		if !slices.Contains(released, f) && !slices.Contains(link.Understood(), cmp.Or(cameWith[f], f)) {
			t.Errorf("release 0.1 does not know %s: add a feature of that name to the list in feature.go", f)
		}
	}
	for _, f := range released {
		if !slices.Contains(all, f) {
			t.Errorf("%s is gone, and release 0.1 knows it", f)
		}
	}
}

// fieldsOf returns the paths of the JSON fields of a type and of the types within it.
func fieldsOf(path string, of reflect.Type) (all []string) {
	for of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || of.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return []string{path} // it is encoded as a single value
	}
	for f := range of.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
			all = append(all, fieldsOf(path+"-"+name, f.Type)...)
		}
	}
	return all
}

// What a site has of its own is told once a session, and again when it changes.
func TestASyncTellsTheLocalRulesWhenTheyChange(t *testing.T) {
	w := newWorld(t)
	w.edge()
	b := w.enrol("daba-1", []playlist.Area{village})
	var own atomic.Pointer[playlist.Local]
	cron := must[playlist.Cron](t)(playlist.ParseCron("0 18 * * *"))
	tell := func(days int) { // so many days of exceptions
		e := playlist.Exception{Slot: "早间健康"}
		for d := range days {
			e.Days = append(e.Days, playlist.Date(time.Date(2026, 1, 1+d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)))
		}
		own.Store(&playlist.Local{Wins: playlist.WinsLocal, Exceptions: []playlist.Exception{e}, Slots: []playlist.LocalSlot{{Slot: playlist.Slot{Cron: cron}, Title: "村务"}}})
	}
	tell(1)
	b.c.Local = func(context.Context) playlist.Local { return *own.Load() }
	told := func() (all []playlist.Local) {
		w.ledger.mu.Lock()
		defer w.ledger.mu.Unlock()
		for _, s := range w.ledger.seen {
			if s.Request.Local != nil {
				var l playlist.Local
				if err := json.Unmarshal(s.Request.Local, &l); err != nil {
					t.Error(err)
				}
				all = append(all, l)
			}
		}
		return all
	}
	more := func(n int) {
		t.Helper()
		from := w.ledger.syncs()
		eventually(t, "more syncs have come", func() bool { b.c.Wake(); return w.ledger.syncs() >= from+n })
	}
	stop := w.run(b.c.Run)
	more(3)
	if all := told(); len(all) != 1 || len(all[0].Slots) != 1 || all[0].Wins != playlist.WinsLocal {
		t.Fatalf("told %+v, want it once", all)
	}
	tell(2)
	more(3)
	if all := told(); len(all) != 2 || len(all[1].Exceptions[0].Days) != 2 {
		t.Fatalf("told %+v, want the change", all)
	}
	tell(3000) // some 39 kB
	more(3)
	if all := told(); len(all) != 3 || len(all[2].Exceptions) != 0 || len(all[2].Slots) != 0 || all[2].More != 1 || all[2].Wins != playlist.WinsLocal {
		t.Fatalf("too long: told %d times, the last %+v", len(all), all[len(all)-1])
	}
	stop()
	b.c = w.restart(b)
	b.c.Local = func(context.Context) playlist.Local { return *own.Load() }
	w.run(b.c.Run)
	more(2)
	if all := told(); len(all) != 4 {
		t.Errorf("told %d times, want once more in another session", len(all))
	}
}
