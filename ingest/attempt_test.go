package ingest_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dalaba/ingest"
)

func TestAFileAtWhichTheProgramEndedIsSetAside(t *testing.T) {
	for _, c := range []struct {
		name    string
		forgive bool
		starts  []string // the boot of each start of the program; it ends each time
		mended  bool     // the file is another one at the last start
		fatal   bool     // then
	}{
		{"new", false, []string{"a"}, false, false},
		{"it ended the program", false, []string{"a", "a"}, false, true},
		{"the power was cut", false, []string{"a", "b"}, false, false},
		{"the power was cut twice", false, []string{"a", "b", "c"}, false, true},
		{"it was mended", false, []string{"a", "a"}, true, false},
		{"an alert: it ended the program", true, []string{"a", "a"}, false, false},
		{"an alert: twice", true, []string{"a", "a", "a"}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, notes := filepath.Join(t.TempDir(), "a.flac"), filepath.Join(t.TempDir(), "reading")
			write(t, file, []byte("x"))
			for i, boot := range c.starts {
				last := i == len(c.starts)-1
				if last && c.mended {
					if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Minute)); err != nil {
						t.Fatal(err)
					}
				}
				a := &ingest.Attempts{Dir: notes, Boot: boot, Forgive: c.forgive}
				if err := a.Tidy(); err != nil {
					t.Fatal(err)
				}
				end, err := a.Begin(file)
				if fatal := errors.Is(err, ingest.ErrFatal) && errors.Is(err, ingest.ErrRefused); fatal != (last && c.fatal) {
					t.Errorf("start %d: %v", i+1, err)
				}
				if last {
					end()
				}
			}
			a := &ingest.Attempts{Dir: notes, Boot: "z"}
			end, err := a.Begin(file)
			if err != nil {
				t.Errorf("put back: %v", err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := a.Tidy(); err != nil {
				t.Error(err)
			}
			empty, err := os.ReadDir(notes)
			if err != nil || len(empty) > 0 {
				t.Errorf("left behind: %v, %v", empty, err)
			}
			end()
		})
	}
}
