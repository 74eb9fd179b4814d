package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"dalaba/data"
	"dalaba/playlist/asrun"
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
			if r.Title == args[1] && r.Outcome == asrun.Complete {
				return true
			}
		}
		return false
	})
}
