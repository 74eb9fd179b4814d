package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
)

var libraryCmds = map[string]func(*testscript.TestScript, bool, []string){
	"waitgone": waitGone,
	"airs":     airs,
}

// waitgone FILE waits until a file is no longer there.
func waitGone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitgone file")
	}
	await(ts, args[0]+" to go", func() bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return errors.Is(err, fs.ErrNotExist)
	})
}

// airs DATA_DIR TITLE waits until a clip of that title has aired whole.
func airs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: airs data_dir title")
	}
	store, err := data.OpenReadOnly(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { _ = store.Close() }()
	await(ts, args[1]+" to air", func() bool {
		for r, err := range store.AsRun(context.Background(), data.Query{}) {
			ts.Check(err)
			if r.Title == args[1] && r.Outcome == playlist.Complete {
				return true
			}
		}
		return false
	})
}

func TestOnlyACountyThatThereIsIsWaitedFor(t *testing.T) {
	store, err := data.Open(t.Context(), t.TempDir(), data.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	c := &countyLink{store: wire{store}}
	if c.waits(t.Context()) {
		t.Error("without an enrolment one is waited for")
	}
	if err := store.KeepDocument(t.Context(), data.Document{Kind: string(link.KindMember), Version: 1, Raw: []byte("{}")}, nil); err != nil {
		t.Fatal(err)
	}
	if !c.waits(t.Context()) {
		t.Error("with one, none is")
	}
}
