package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"dalaba/tools/attack"
)

func TestEveryAttackIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("attacks a county")
	}
	t.Parallel() // it mostly waits
	file := filepath.Join(t.TempDir(), "bench.json")
	var out, log bytes.Buffer
	if code := run(t.Context(), []string{"-short", "-only", "attack", "-o", file}, &out, &log); code != 0 {
		t.Fatalf("exit %d: %s", code, log.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var figures []Figure
	if err := json.Unmarshal(text, &figures); err != nil {
		t.Fatal(err)
	}
	if want := 6*len(attack.Kinds) + 1; len(figures) != want {
		t.Errorf("%d figures, %d wanted", len(figures), want)
	}
	for _, f := range figures {
		if f.Value <= 0 || f.PeerValue <= 0 || f.Samples < 1 {
			t.Errorf("%+v", f)
		}
	}
}
