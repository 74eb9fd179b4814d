package controller

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/data/shared"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// inbox is a drop folder that is watched, and what was taken out of it.
type inbox struct {
	t   *testing.T
	dir string
	mu  sync.Mutex
	got []string
	log strings.Builder
}

// watch watches a new folder until the test ends. Reading the file "hangs.xml" never
// ends before hang is closed.
func watch(t *testing.T, hang <-chan struct{}) *inbox {
	b := &inbox{t: t, dir: t.TempDir()}
	p := &dropped{
		dir: b.dir, lang: say.English, log: slog.New(slog.NewTextHandler(b, nil)),
		read: func(dir *shared.Folder, name string) ([]byte, error) {
			if name == "hangs.xml" {
				<-hang
			}
			return readDropped(dir, name)
		},
		whole: func(raw []byte, _ bool) error {
			if !strings.HasPrefix(string(raw), "a whole message") {
				return errors.New("no message")
			}
			return nil
		},
		receive: func(_ context.Context, raw []byte) (emergency.Record, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.got = append(b.got, string(raw))
			return emergency.Record{}, nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	b.pass(1500 * time.Millisecond)
	return b
}

func (b *inbox) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(line)
}

// logged counts the lines of the log with all of those words.
func (b *inbox) logged(words ...string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.log.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

func (b *inbox) taken() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.got)
}

func (b *inbox) put(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	at := time.Now() // two writes of one length must differ
	if err := os.Chtimes(path, at, at); err != nil {
		b.t.Fatal(err)
	}
}

func (b *inbox) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *inbox) there(name string) bool {
	_, err := os.Lstat(filepath.Join(b.dir, name))
	return err == nil
}

// A copy that takes its time is no broken message; one that stays broken is
// refused; a folder that is a store is left alone.
func TestAMessageThatIsStillArrivingIsNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, nil)
		b.put("slow.xml", "a wh")
		b.put("broken.xml", "a")
		b.put("whole.xml", "a whole message")
		b.pass(2 * time.Second)
		if !b.there("taken/whole.xml") || !b.there("slow.xml") || !b.there("broken.xml") {
			t.Error("the whole one waits, or the others are not waited for")
		}
		for range 5 {
			b.pass(3 * time.Second)
			b.put("slow.xml", "a whole"+time.Now().String())
		}
		if !b.there("slow.xml") || !b.there("refused/broken.xml") || !b.there("refused/broken.xml.txt") {
			t.Error("the slow one is not waited for, or the broken one still is")
		}
		if n := b.logged("not whole yet", "slow.xml"); n != 1 {
			t.Errorf("the log names it %d times", n)
		}
		b.put("slow.xml", "a whole message")
		b.pass(2 * time.Second)
		if !b.there("taken/slow.xml") || b.taken() != 2 {
			t.Errorf("the slow one was not taken in the end: %q", b.got)
		}
		b.put("dalaba.db", "a whole message")
		b.pass(20 * time.Second)
		if !b.there("dalaba.db") {
			t.Error("a store was taken for a message")
		}
	})
}

// A file that a program has open to write may still become whole, however long it
// does not change.
func TestAFileThatIsHeldOpenIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, nil)
		f, err := os.Create(filepath.Join(b.dir, "held.xml"))
		if err == nil {
			_, err = f.WriteString("a wh")
		}
		if err != nil {
			t.Fatal(err)
		}
		b.pass(45 * time.Second)
		if !b.there("held.xml") || b.logged("not whole yet", "held.xml") != 1 {
			t.Errorf("it was not waited for, or not named: %s", b.log.String())
		}
		b.put("other.xml", "a whole message")
		b.pass(2 * time.Second)
		if !b.there("taken/other.xml") {
			t.Error("another one waits for it")
		}
		if _, err := f.WriteString("ole message"); err != nil {
			t.Fatal(err)
		}
		b.pass(2 * time.Second)
		if !b.there("taken/held.xml") {
			t.Error("it was not taken once it was whole")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// What is no file, and a file whose disk hangs, hold up no other.
func TestOneFileHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		b := watch(t, hang)
		if err := syscall.Mkfifo(filepath.Join(b.dir, "a-pipe.xml"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.put("hangs.xml", "a whole message that hangs")
		huge, err := os.Create(filepath.Join(b.dir, "b-huge.xml"))
		if err == nil {
			err = errors.Join(huge.Truncate(1<<40), huge.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		b.put("z.xml", "a whole message")
		b.pass(3 * time.Second)
		if !b.there("taken/z.xml") {
			t.Fatal("it waits for the others")
		}
		b.pass(30 * time.Second)
		if !b.there("refused/a-pipe.xml.txt") || !b.there("refused/b-huge.xml.txt") {
			t.Error("the pipe or the huge file is not refused")
		}
		if !b.there("hangs.xml") || b.logged("not whole yet", "hangs.xml") != 1 {
			t.Errorf("what hangs is refused, or not named: %s", b.log.String())
		}
		close(hang)
		b.pass(2 * time.Second)
		if !b.there("taken/hangs.xml") {
			t.Error("it was not taken once its disk was there again")
		}
	})
}

// A user who may put files into the folder reaches no other file with the rights of the
// daemon.
func TestTheDropFolderReachesNothingElsewhere(t *testing.T) {
	link := func(at string, to func(elsewhere string) string) func(*testing.T, string, string) {
		return func(t *testing.T, dir, elsewhere string) {
			path := filepath.Join(dir, at)
			if err := errors.Join(os.RemoveAll(path), os.Symlink(to(elsewhere), path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	itself := func(elsewhere string) string { return elsewhere }
	file := func(name string) func(string) string {
		return func(elsewhere string) string { return filepath.Join(elsewhere, name) }
	}
	for _, tt := range []struct {
		name  string
		put   func(t *testing.T, dir, elsewhere string)
		stays string // a file that is still in the folder in the end
		goes  string // a file that is there then
		told  string // what the log says
	}{
		{"refused is a link to another folder", link("refused", itself), "broken.xml", "taken/good.xml", "links are not followed"},
		{"taken is a link to another folder", link("taken", itself), "good.xml", "refused/broken.xml.txt", "links are not followed"},
		{"taken is a file", func(t *testing.T, dir, _ string) {
			path := filepath.Join(dir, "taken")
			if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte("a"), 0o600)); err != nil {
				t.Fatal(err)
			}
		}, "good.xml", "refused/broken.xml.txt", "is no folder"},
		{"a message is a link to a message elsewhere", link("link.xml", file("message.xml")), "", "refused/link.xml.txt", "links are not followed"},
		{"a note is a link to a file elsewhere", link("refused/broken.xml.txt", file("secret.txt")), "", "refused/broken.xml (2).txt", ""},
		{"a note is a link to what is not there", link("refused/broken.xml.txt", file("new.txt")), "", "refused/broken.xml (2).txt", ""},
		{"a taken message is a link to a file elsewhere", link("taken/good.xml", file("secret.txt")), "", "taken/good (2).xml", ""},
		{"a link leads nowhere", link("link.xml", file("nothing")), "", "refused/link.xml.txt", "links are not followed"},
		{"a link leads to a device", link("link.xml", func(string) string { return "/dev/zero" }), "", "refused/link.xml.txt", "links are not followed"},
		{"a name has bytes that are no letters", func(t *testing.T, dir, _ string) {
			if err := os.WriteFile(filepath.Join(dir, "\xff\x1b[2J\n.xml"), []byte("no message"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "", "refused/\xff\x1b[2J\n.xml.txt", "no message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := watch(t, nil)
				elsewhere := t.TempDir()
				for name, text := range map[string]string{"secret.txt": "a secret", "message.xml": "a whole message elsewhere"} {
					if err := os.WriteFile(filepath.Join(elsewhere, name), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				tt.put(t, b.dir, elsewhere)
				b.put("good.xml", "a whole message")
				b.put("broken.xml", "no")
				b.pass(40 * time.Second)
				left, err := os.ReadDir(elsewhere)
				if err != nil || len(left) != 2 {
					t.Errorf("elsewhere there is %v, %v", left, err)
				}
				if text, err := os.ReadFile(filepath.Join(elsewhere, "secret.txt")); string(text) != "a secret" {
					t.Errorf("the file elsewhere is %q, %v", text, err)
				}
				if b.taken() != 1 || b.got[0] != "a whole message" {
					t.Errorf("taken: %q", b.got)
				}
				if !b.there(tt.goes) || tt.stays != "" && !b.there(tt.stays) {
					t.Errorf("%s is not there, or %s: %s", tt.goes, tt.stays, b.log.String())
				}
				if tt.told != "" && b.logged(tt.told) == 0 {
					t.Errorf("the log has %s", b.log.String())
				}
			})
		})
	}
}

func TestADropFolderWithTooManyFilesIsToldAndEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, nil)
		for n := range dropMost + 10 {
			if err := os.WriteFile(filepath.Join(b.dir, strconv.Itoa(n)+".xml"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b.pass(2 * time.Second)
		if n := b.logged("alert folder cannot be read", "only the first 20000 were looked at"); n != 1 {
			t.Errorf("it is told %d times", n)
		}
		b.pass(time.Minute)
		left, err := filepath.Glob(filepath.Join(b.dir, "*.xml"))
		if err != nil || len(left) != 0 {
			t.Errorf("%d files are left, %v", len(left), err)
		}
	})
}

// A message that a program has exchanged for a link since it was seen is not read there.
func TestADroppedMessageThatBecomesALinkIsNotRead(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "message.xml")
	if err := errors.Join(os.WriteFile(elsewhere, []byte("a secret"), 0o600), os.Symlink(elsewhere, filepath.Join(dir, "message.xml"))); err != nil {
		t.Fatal(err)
	}
	f, err := shared.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if raw, err := readDropped(f, "message.xml"); !errors.Is(err, shared.ErrLink) || len(raw) > 0 {
		t.Errorf("%q, %v", raw, err)
	}
}
