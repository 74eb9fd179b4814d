package link_test

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

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

// A file lists the fields of documents that release 0.1 knows, one on a line. A field
// that is not in it is a feature: the list of features must have its name.
func TestAFieldSinceRelease01IsAFeature(t *testing.T) {
	released := strings.Fields(string(must[[]byte](t)(os.ReadFile(filepath.Join("testdata", "fields-0.1.txt")))))
	all := append(fieldsOf("manifest", reflect.TypeFor[playlist.Manifest]()), fieldsOf("state", reflect.TypeFor[link.AlertsState]())...)
	for _, f := range all {
		if !slices.Contains(released, f) && !slices.Contains(link.Understood(), f) {
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
