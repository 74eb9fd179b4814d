package data_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
)

func TestADocumentReplacesTheOneOfItsKindAndScope(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	doc := func(kind string, scope playlist.Scope, version int64) data.Document {
		return data.Document{Kind: kind, Scope: scope, Version: version, Digest: "d", Raw: []byte(kind)}
	}
	must(t, s.KeepDocument(t.Context(), doc("trust", "", 1), nil, time.Time{}))
	must(t, s.KeepDocument(t.Context(), doc("manifest", "group:a", 3), nil, time.Time{}))
	must(t, s.KeepDocument(t.Context(), doc("manifest", "group:b", 1), nil, time.Time{}))
	for _, scope := range []playlist.Scope{"group:a", "group:b"} {
		must(t, s.PutManifest(t.Context(), playlist.Manifest{Scope: scope, Version: 1}))
	}
	must(t, s.KeepDocument(t.Context(), doc("trust", "", 2), []data.Document{doc("manifest", "group:b", 1)}, time.Time{}))
	must(t, s.Close())
	s = open(t, dir)
	all, err := s.Documents(t.Context())
	if err != nil || len(all) != 2 || all[0].Kind != "manifest" || all[0].Version != 3 || all[1].Version != 2 || string(all[1].Raw) != "trust" {
		t.Errorf("%+v %v", all, err)
	}
	if in, err := s.Manifests(t.Context()); err != nil || len(in) != 1 || in["group:a"].Version != 1 {
		t.Errorf("in force after the document was deleted: %+v, %v", in, err)
	}
}

func TestAfterAMarkIsLoweredReceiptsAreSentAgain(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	for i := range 6 {
		record(t, s, i+1)
	}
	b, err := s.Batch(ctx, asrun.Mark{}, 10)
	if err != nil || len(b.Receipts) != 6 {
		t.Fatalf("%+v %v", b, err)
	}
	must(t, s.SetMark(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 5}))
	if m, err := s.Marks(ctx); err != nil || len(m) != 1 || m[0] != (asrun.Mark{Epoch: b.Epoch, Seq: 5}) {
		t.Errorf("%+v %v", m, err)
	}
	must(t, s.SetMark(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 2})) // the county was restored from a backup
	again, err := s.Batch(ctx, asrun.Mark{}, 10)
	if err != nil || len(again.Receipts) != 4 || again.Receipts[0].Row.Seq != 3 {
		t.Errorf("%+v %v", again, err)
	}
	// The receipts after a batch that is being sent.
	if next, _ := s.Batch(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 4}, 10); len(next.Receipts) != 2 || next.Receipts[0].Row.Seq != 5 {
		t.Errorf("%+v", next)
	}
	if none, err := s.Batch(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 6}, 10); err != nil || len(none.Receipts) != 0 {
		t.Errorf("%+v %v", none, err)
	}
}

func TestAReceiptSetAsideIsCountedUntilItIsSentAgain(t *testing.T) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	for i := range 6 {
		record(t, s, i+1)
	}
	b, _ := s.Batch(ctx, asrun.Mark{}, 10)
	must(t, s.SetAside(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 2}, "no name for a clip"))
	must(t, s.SetAside(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 4}, "less than none"))
	must(t, s.SetMark(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 6}))
	must(t, s.Close())
	s = open(t, dir)
	if n, why, err := s.Aside(ctx); err != nil || n != 2 || why != "less than none" {
		t.Errorf("%d aside, the last for %q, %v", n, why, err)
	}
	if n, _, err := s.Unsent(ctx); err != nil || n != 0 {
		t.Errorf("%d unsent, %v", n, err)
	}
	rows := 0
	for _, err := range s.AsRun(ctx, data.Query{}) {
		must(t, err)
		rows++
	}
	if rows != 6 {
		t.Errorf("%d rows left", rows)
	}
	must(t, s.SetMark(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 3}))
	if again, err := s.Batch(ctx, asrun.Mark{}, 10); err != nil || len(again.Receipts) != 3 || again.Receipts[0].Row.Seq != 4 {
		t.Errorf("%+v %v", again, err)
	}
	if n, why, err := s.Aside(ctx); err != nil || n != 1 || why != "no name for a clip" {
		t.Errorf("after the mark went back %d aside, the last for %q, %v", n, why, err)
	}
}

func TestARowWithACorrectedClockGetsAnotherReceipt(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	r := row("square", 1, 0, "")
	r.Outcome, r.Clock, r.Boot, r.MonoMS = asrun.Failed, playlist.ClockUntrusted, "boot 1", 5000
	must(t, s.Record(ctx, r))
	b, _ := s.Batch(ctx, asrun.Mark{}, 10)
	must(t, s.SetMark(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 1}))
	must(t, s.NoteBoot(ctx, "boot 1", due.Add(time.Hour)))
	must(t, s.NoteBoot(ctx, "boot 1", due.Add(2*time.Hour))) // a second call changes nothing
	b, err := s.Batch(ctx, asrun.Mark{}, 10)
	if err != nil || len(b.Receipts) != 1 {
		t.Fatalf("%+v %v", b, err)
	}
	got := b.Receipts[0]
	if got.Row.Seq != 2 || got.Corrects == nil || *got.Corrects != (asrun.Mark{Epoch: b.Epoch, Seq: 1}) || got.Row.Clock != playlist.ClockRepaired {
		t.Errorf("%+v", got)
	}
}

func TestUnsentEventsAreThoseThatTheCountyLacks(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, dir), t.Context()
		log := slog.New(s.LogHandler(nil))
		for i, m := range []string{"started", "underrun", "reload", "output lost"} {
			if i%2 == 0 {
				log.Info(m)
			} else {
				log.Warn(m)
			}
		}
		pass(time.Second)
		got, err := s.UnsentEvents(ctx, int(slog.LevelWarn), 10)
		must(t, err)
		if len(got) != 2 || got[0].Message != "underrun" {
			t.Fatalf("for the county: %+v; want \"underrun\" and \"output lost\"", got)
		}
		must(t, s.EventsSent(ctx, got[0].ID))
		if rest, err := s.UnsentEvents(ctx, int(slog.LevelWarn), 10); err != nil || len(rest) != 1 || rest[0].Message != "output lost" {
			t.Errorf("after the first was sent: %+v, %v; want \"output lost\"", rest, err)
		}
	})
}

func TestAFetchedClipKeepsItsMetadata(t *testing.T) {
	s, ctx := open(t, t.TempDir()), t.Context()
	c := addClip(t, s, "sound", "our title", 3)
	must(t, s.RemoveClipFile(ctx, c.ID))
	if ok, err := s.HasClip(ctx, c.ID); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	must(t, s.PutClip(ctx, playlist.Clip{ID: c.ID, Title: "theirs", Frames: 1}, strings.NewReader("sound")))
	if got, _, err := s.Clip(ctx, c.ID); err != nil || got.Title != "our title" {
		t.Errorf("%+v %v", got, err)
	}
	if ok, err := s.HasClip(ctx, c.ID); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
}

func TestAnEnrolmentSetsAsideWhatCameBeforeIt(t *testing.T) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	doc := func(kind string, scope playlist.Scope, version int64) data.Document {
		return data.Document{Kind: kind, Scope: scope, Version: version, Digest: "d", Raw: []byte(kind)}
	}
	first := due
	must(t, s.Adopt(ctx, first, doc("trust", "", 7), doc("member", "controller:a", 9)))
	must(t, s.KeepDocument(ctx, doc("manifest", "group:a", 3), nil, first))
	must(t, s.PutManifest(ctx, playlist.Manifest{Scope: "group:a", Version: 3}))
	must(t, s.SetSynced(ctx, first))

	// A store that took the place of one that was lost knows of no enrolment.
	must(t, open(t, t.TempDir()).KeepDocument(ctx, doc("manifest", "group:a", 3), nil, first))

	again := first.Add(time.Hour)
	must(t, s.Adopt(ctx, again, doc("trust", "", 2), doc("member", "controller:b", 1)))
	// A link that still runs may bring documents of the enrolment before.
	if err := s.KeepDocument(ctx, doc("member", "controller:a", 10), nil, first); !errors.Is(err, data.ErrEnrolledAnew) {
		t.Errorf("a document of an earlier enrolment: %v", err)
	}
	must(t, s.KeepDocument(ctx, doc("manifest", "group:a", 1), nil, again))
	must(t, s.Close())
	s = open(t, dir)
	all, err := s.Documents(ctx)
	if err != nil || len(all) != 3 || all[0].Version != 1 || all[1].Scope != "controller:b" || all[2].Version != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if in, err := s.Manifests(ctx); err != nil || len(in) != 0 {
		t.Errorf("in force: %+v, %v", in, err)
	}
	if at, err := s.Enrolled(ctx); err != nil || !at.Equal(again) {
		t.Errorf("enrolled %v, %v", at, err)
	}
	if at, err := s.Synced(ctx); err != nil || !at.IsZero() {
		t.Errorf("the county before answered %v, %v", at, err)
	}
}

func TestReceiptsWhoseNumbersAreTakenGetNewOnes(t *testing.T) {
	dir := t.TempDir()
	s, ctx := open(t, dir), t.Context()
	for i := range 4 {
		record(t, s, i+1)
	}
	r := row("square", 5, 0, "")
	r.Outcome, r.Clock, r.Boot, r.MonoMS = asrun.Failed, playlist.ClockUntrusted, "boot 1", 5000
	must(t, s.Record(ctx, r))
	must(t, s.NoteBoot(ctx, "boot 1", due.Add(time.Hour))) // it gets a second receipt, which corrects the first
	b, err := s.Batch(ctx, asrun.Mark{}, 10)
	must(t, err)
	must(t, s.SetMark(ctx, asrun.Mark{Epoch: b.Epoch, Seq: 2}))
	must(t, s.Renumber(ctx, b.Epoch))
	must(t, s.Renumber(ctx, "no such epoch"))
	record(t, s, 9)
	must(t, s.Close())
	s = open(t, dir)
	next, err := s.Batch(ctx, asrun.Mark{}, 10)
	must(t, err)
	if next.Epoch == b.Epoch || len(next.Receipts) != 5 || next.Gone != 0 {
		t.Fatalf("%+v", next)
	}
	for i, r := range next.Receipts {
		want := r.Row.Airing
		if i < 4 {
			want = b.Receipts[i+2].Row.Airing
		}
		if r.Row.Seq != int64(i+1) || r.Row.Airing != want {
			t.Errorf("receipt %d is %d, of %s", i+1, r.Row.Seq, r.Row.Airing)
		}
	}
	if c := next.Receipts[3].Corrects; c == nil || *c != (asrun.Mark{Epoch: next.Epoch, Seq: 3}) {
		t.Errorf("it corrects %v", c)
	}
	must(t, s.SetMark(ctx, asrun.Mark{Epoch: next.Epoch, Seq: 5}))
	if n, _, err := s.Unsent(ctx); err != nil || n != 0 {
		t.Errorf("%d unsent, %v", n, err)
	}
}
