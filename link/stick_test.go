package link_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"dalaba/data/shared"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// elsewhere is a folder that is not on the stick, as it is before and after an attack.
type elsewhere struct {
	t   *testing.T
	dir string
}

func newElsewhere(t *testing.T) elsewhere {
	e := elsewhere{t, t.TempDir()}
	for _, name := range []string{"a.json", "daba-1.json", "e1-000000000001.json", "trust.json"} {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte("of another program"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func (e elsewhere) untouched() {
	e.t.Helper()
	n := 0
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		if text, err := os.ReadFile(path); err != nil || string(text) != "of another program" {
			e.t.Errorf("%s is now %.40q, %v", d.Name(), text, err)
		}
		return nil
	})
	if err != nil || n != 4 {
		e.t.Errorf("%d files are left, %v", n, err)
	}
}

// A stick is a file system that its giver made: it may hold anything.
func TestAStickReachesNothingElsewhere(t *testing.T) {
	symlink := func(to func(e elsewhere) string, at string) func(*testing.T, string, elsewhere) {
		return func(t *testing.T, stick string, e elsewhere) {
			path := filepath.Join(stick, at)
			if err := errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to(e), path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	itself := func(e elsewhere) string { return e.dir }
	file := func(name string) func(elsewhere) string {
		return func(e elsewhere) string { return filepath.Join(e.dir, name) }
	}
	within := func(to string) func(elsewhere) string { return func(elsewhere) string { return to } }
	clip, data := sound(5000, 1)
	sounds := "clips/" + string(clip.ID) + ".mp3"
	cases := []struct {
		name   string
		put    func(t *testing.T, stick string, e elsewhere)
		told   string // the file or folder that is refused at the controller; empty: none
		county string // the same at the county
	}{
		{"the folder of receipts is a link to another folder", symlink(itself, "receipts"), "receipts/daba-1", "receipts"},
		{"the folder of one's own receipts is a link to another folder", symlink(itself, "receipts/daba-1"), "receipts/daba-1", "receipts/daba-1"},
		{"the folder of one's own receipts is a link to the stick's documents", symlink(within("../documents"), "receipts/daba-1"), "receipts/daba-1", "receipts/daba-1"},
		{"a batch is a link to a file elsewhere", symlink(file("a.json"), "receipts/daba-1/e1-000000000001.json"), "", ""},
		{"the folder of stamps is a link to another folder", symlink(itself, "stamps"), "stamps/daba-1.json", "stamps/daba-1.json"},
		{"the stamp is a link to a file elsewhere", symlink(file("daba-1.json"), "stamps/daba-1.json"), "stamps/daba-1.json", ""},
		{"the stamp is a link to what is not there", symlink(file("new"), "stamps/daba-1.json"), "stamps/daba-1.json", ""},
		{"the folder of documents is a link to another folder", symlink(itself, "documents"), "documents", ""},
		{"a document is a link to a file elsewhere", symlink(file("a.json"), "documents/alerts.a.json"), "documents/alerts.a.json", ""},
		{"a document is a pipe that nobody writes to", func(t *testing.T, stick string, _ elsewhere) {
			if err := syscall.Mkfifo(filepath.Join(stick, "documents", "alerts.a.json"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "documents/alerts.a.json", ""},
		{"a document is a folder", func(t *testing.T, stick string, _ elsewhere) {
			if err := os.Mkdir(filepath.Join(stick, "documents", "alerts.a.json"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, "documents/alerts.a.json", ""},
		{"the stamp is a folder", func(t *testing.T, stick string, _ elsewhere) {
			if err := os.MkdirAll(filepath.Join(stick, "stamps", "daba-1.json"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, "stamps/daba-1.json", "stamps/daba-1.json"},
		{"the folder of clips is a link to another folder", symlink(itself, "clips"), sounds, ""},
		{"a clip is a link to a clip", symlink(within("copy.mp3"), sounds), sounds, ""},
		{"a clip is a pipe", func(t *testing.T, stick string, _ elsewhere) {
			path := filepath.Join(stick, sounds)
			if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o644)); err != nil {
				t.Fatal(err)
			}
		}, sounds, ""},
		{"a clip has eight terabytes", func(t *testing.T, stick string, _ elsewhere) {
			if err := os.Truncate(filepath.Join(stick, sounds), 8<<40); err != nil {
				t.Skip(err)
			}
		}, sounds, ""},
		{"names have other bytes than letters", func(t *testing.T, stick string, _ elsewhere) {
			for _, name := range []string{"alerts.\xff\xfe.json", "alerts.\x1b[2J\n.json", strings.Repeat("a", 250) + ".json"} {
				if err := os.WriteFile(filepath.Join(stick, "documents", name), []byte("{}"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}, "documents/alerts.\xff\xfe.json", ""},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.enrol("daba-1", []playlist.Area{village})
			w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 4, clip))
			stick := load(t, w, map[playlist.ClipID][]byte{clip.ID: data})
			if err := os.WriteFile(filepath.Join(stick.Dir, "clips", "copy.mp3"), data, 0o644); err != nil {
				t.Fatal(err)
			}
			e := newElsewhere(t)
			tt.put(t, stick.Dir, e)
			b.memory.air("e1", 3)

			r, err := b.c.Import(t.Context(), stick)
			if err != nil {
				t.Errorf("at the controller: %v", err)
			}
			e.untouched()
			if why := r.Refused[tt.told]; tt.told != "" && (why == nil || say.In(say.Chinese, why) == say.In(say.English, why)) {
				t.Errorf("at the controller %q is told as %v, of %v", tt.told, why, r.Refused)
			}
			if left, _ := filepath.Glob(filepath.Join(stick.Dir, "documents", "manifest*.json")); tt.told != "documents" && (len(left) != 1 || len(r.Accepted) != 1) {
				t.Errorf("accepted %v, and the stick has the manifests %v", r.Accepted, left)
			}
			if wrong := strings.HasPrefix(tt.told, "clips"); len(r.Missing) > 0 != (wrong || tt.told == "documents") && tt.told != "documents" {
				t.Errorf("missing %v, clips %v", r.Missing, r.Clips)
			}

			got, err := (&link.Edge{Store: w.ledger, Key: w.countyKeys.edge, Log: quiet()}).Import(t.Context(), stick)
			if err != nil {
				t.Errorf("at the county: %v", err)
			}
			e.untouched()
			if why := got.Refused[tt.county]; tt.county != "" && !shared.Misplaced(why) {
				t.Errorf("at the county %q is told as %v, of %v", tt.county, why, got.Refused)
			}
			if ok := !strings.HasPrefix(tt.county, "receipts"); ok && got.Receipts != 3 {
				t.Errorf("the county has %d receipts, and refused %v", got.Receipts, got.Refused)
			}

			_ = stick.PutClip(clip.ID, bytes.NewReader(data))
			for _, d := range w.ledger.docs {
				_ = stick.PutDocument(d)
			}
			e.untouched()
		})
	}
}

// sparse makes a file that takes no room on the stick but for its beginning.
func sparse(t *testing.T, path, begin string, size int64) {
	t.Helper()
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(begin), 0o644))
	if size > int64(len(begin)) {
		err = errors.Join(err, os.Truncate(path, size))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// took returns how many MiB of memory the system gave to the heap meanwhile. It never
// shrinks: it is the peak.
func took(do func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return (int64(after.HeapSys) - int64(before.HeapSys)) >> 20
}

// What a stick brings is read one file at a time, and not without end.
func TestAStickTakesNoMemory(t *testing.T) {
	const most = 96 // MiB
	for _, tt := range []struct {
		name   string
		files  int
		begin  string
		size   int64
		told   string
		as     string // a part of what is told
		county bool   // the county tells the same of receipts
	}{
		{"sparse files of the largest size that might be documents", 1250, "{", link.MaxEnvelope, "%s", "reading stopped after 1024 MiB", true},
		{"sparse files of the largest size", 4000, "", link.MaxEnvelope, "...", "3500 more files were refused", false},
		{"files of a terabyte", 300, "{", 1 << 40, "%s/x00000001.json", "was not read", true},
		{"more files than are looked at", 20_010, "", 0, "%s", "only 20000 were looked at", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.enrol("daba-1", []playlist.Area{village})
			w.ledger.issue(t, w.countyKeys.manifest(t, playlist.AreaScope(town), 4))
			stick := load(t, w, nil)
			b.memory.air("e1", 3)
			told := func(r link.Carried, dir string) {
				t.Helper()
				name := strings.Replace(tt.told, "%s", dir, 1)
				if why := r.Refused[name]; why == nil || !strings.Contains(why.Error(), tt.as) {
					t.Errorf("%s is told as %v", name, why)
				}
			}
			for n := range tt.files {
				sparse(t, filepath.Join(stick.Dir, "documents", fmt.Sprintf("x%08d.json", n)), tt.begin, tt.size)
			}
			if mib := took(func() {
				r, err := b.c.Import(t.Context(), stick)
				if err != nil || len(r.Accepted) != 1 || r.Receipts != 3 {
					t.Errorf("accepted %v, %d receipts, %v", r.Accepted, r.Receipts, err)
				}
				told(r, "documents")
			}); mib > most {
				t.Errorf("it took %d MiB of memory", mib)
			} else {
				t.Logf("it took %d MiB of memory", mib)
			}
			if !tt.county {
				return
			}
			dir := filepath.Join(stick.Dir, "receipts", "daba-1")
			for n := range tt.files {
				if err := os.Rename(filepath.Join(stick.Dir, "documents", fmt.Sprintf("x%08d.json", n)), filepath.Join(dir, fmt.Sprintf("x%08d.json", n))); err != nil {
					t.Fatal(err)
				}
			}
			if mib := took(func() {
				r, err := (&link.Edge{Store: w.ledger, Key: w.countyKeys.edge, Log: quiet()}).Import(t.Context(), stick)
				if err != nil || r.Receipts != 3 {
					t.Errorf("the county has %d receipts, %v", r.Receipts, err)
				}
				if tt.as == "reading stopped after 1024 MiB" {
					told(r, "receipts")
				} else {
					told(r, "receipts/daba-1")
				}
			}); mib > most {
				t.Errorf("it took %d MiB of memory at the county", mib)
			}
		})
	}
}
