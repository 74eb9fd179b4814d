package data_test

import (
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

func TestAStoreInMemoryKeepsWhatIsRecordedAndReturnsItToTheDisk(t *testing.T) {
	tests := []struct {
		name string
		harm func(t *testing.T, dir string)
		rows int
	}{
		{"copies the database", func(*testing.T, string) {}, 41},
		{"copies the backup if the database is damaged", func(t *testing.T, dir string) {
			scribble(t, filepath.Join(dir, "dalaba.db"), 0, 64)
		}, 40},
		{"begins empty if there is no database", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "backup")))
			must(t, os.Remove(filepath.Join(dir, "dalaba.db")))
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			epoch := backedUp(t, dir)
			tt.harm(t, dir)
			before := listing(t, dir)
			s, err := data.OpenVolatile(t.Context(), dir, options())
			must(t, err)
			claim(t, s, row("square", 100, 1, clipID("a")), at(0, ""), at(0, clipID("a")))
			end(t, s, row("square", 100, 1, clipID("a")).Key(), heard(48000))
			h := health(t, s)
			if n := rowCount(t, s); n != tt.rows+1 || !h.Volatile || h.Epoch == epoch || h.Seq != 1 || s.Dir() != dir {
				t.Errorf("%d rows, %+v", n, h)
			}
			if after := listing(t, dir); after != before {
				t.Errorf("the folder changed from\n%s to\n%s", before, after)
			}
			// The next daemon finds all of it on the disk.
			must(t, s.Close())
			held, err := data.Lock(dir)
			must(t, err)
			o := options()
			o.Lock = held
			s, err = data.Open(t.Context(), dir, o)
			must(t, err)
			if n, now := rowCount(t, s), health(t, s); n != tt.rows+1 || now.Volatile {
				t.Errorf("%d rows in the end, %+v", n, now)
			}
			for _, r := range unsent(t, s) {
				if r.Row.Item == 100 && (r.Epoch != h.Epoch || r.Seq != 1) {
					t.Errorf("receipt %s %d", r.Epoch, r.Seq)
				}
			}
			must(t, s.Close())
			must(t, held.Release())
		})
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, glob := range []string{"dalaba.db", "dalaba.db.*", "backup/*"} {
		paths, err := filepath.Glob(filepath.Join(dir, glob))
		must(t, err)
		for _, p := range paths {
			b, err := os.ReadFile(p)
			must(t, err)
			all.WriteString(filepath.Base(p) + " " + string(idOf(string(b))) + "\n")
		}
	}
	return all.String()
}

// sent is a receipt as the county gets it.
type sent struct {
	Epoch string
	Seq   int64
	Row   asrun.Row
}

// unsent returns all receipts that the county does not have.
func unsent(t *testing.T, s *data.Store) (all []sent) {
	t.Helper()
	for at := (asrun.Mark{}); ; {
		b, err := s.Batch(t.Context(), at, 100)
		must(t, err)
		if len(b.Receipts) == 0 {
			return all
		}
		for _, r := range b.Receipts {
			all = append(all, sent{b.Epoch, r.Row.Seq, r.Row})
			at = asrun.Mark{Epoch: b.Epoch, Seq: r.Row.Seq}
		}
	}
}

// spared opens the store in dir as a daemon does; done closes it.
func spared(t *testing.T, dir string) (s *data.Store, done func()) {
	t.Helper()
	held, err := data.Lock(dir)
	must(t, err)
	o := options()
	o.Lock, o.Spare = held, true
	s, err = data.Open(t.Context(), dir, o)
	must(t, err)
	return s, func() {
		must(t, s.Close())
		must(t, held.Release())
	}
}

// between does what happens to a store while its disk fails: it closes the open
// row, airs another lesson, gives a clip back and changes facts.
func between(t *testing.T, s *data.Store) {
	t.Helper()
	ctx := t.Context()
	end(t, s, row("square", 1, 1, clipID("a")).Key(), heard(48000))
	claim(t, s, row("square", 2, 1, clipID("b")), at(1, clipID("a")), at(2, clipID("b")))
	end(t, s, row("square", 2, 1, clipID("b")).Key(), heard(48000))
	claim(t, s, row("square", 3, 1, clipID("c")), at(2, clipID("b")), at(3, clipID("c")))
	record(t, s, 4)
	must(t, s.SetClock(ctx, playlist.ClockTrusted))
	must(t, s.SetWatermark(ctx, due.Add(time.Hour)))
	if !health(t, s).Volatile {
		t.Error("the disk was written")
	}
	// Another program sees it too.
	look, err := data.OpenReadOnly(ctx, s.Dir())
	must(t, err)
	if n, h := rowCount(t, look), health(t, look); n != 4 || !h.Volatile {
		t.Errorf("looking shows %d rows, %+v", n, h)
	}
	must(t, look.Close())
	// Sent meanwhile: the county knows the receipt by its number in that epoch.
	out := unsent(t, s)
	must(t, s.Acknowledge(ctx, out[0].Epoch, out[0].Seq))
}

// afterwards checks that all of what between did is on the disk, once.
func afterwards(t *testing.T, s *data.Store, epoch string) {
	t.Helper()
	ctx := t.Context()
	h := health(t, s)
	if n := rowCount(t, s); n != 4 || h.Volatile || h.Epoch != epoch {
		t.Errorf("%d rows, %+v", n, h)
	}
	open, err := s.OpenRows(ctx)
	must(t, err)
	if len(open) != 1 || open[0].Item != 3 {
		t.Errorf("open: %+v", open)
	}
	if at, err := s.Watermark(ctx); err != nil || !at.Equal(due.Add(time.Hour)) {
		t.Error(at, err)
	}
	if v, err := s.Clock(ctx); err != nil || v != playlist.ClockTrusted {
		t.Error(v, err)
	}
	if c, err := s.Cursor(ctx, "health"); err != nil || c != *at(3, clipID("c")) {
		t.Errorf("%+v, %v", c, err)
	}
	out := unsent(t, s)
	seen := map[int]bool{}
	for i, r := range out {
		if seen[r.Row.Item] || r.Epoch == epoch || r.Seq != int64(i+2) || r.Row.Seq != r.Seq {
			t.Errorf("receipt %s %d of item %d", r.Epoch, r.Seq, r.Row.Item)
		}
		seen[r.Row.Item] = true
	}
	if n, _, err := s.Unsent(ctx); err != nil || n != 2 || len(out) != 2 {
		t.Errorf("%d receipts, %v", n, err)
	}
	// A clip that did not sound is given back to its place in the playlist.
	end(t, s, row("square", 3, 1, clipID("c")).Key(), asrun.End{Ended: due, Outcome: asrun.Missed, Reason: asrun.ReasonStopped})
	if c, err := s.Cursor(ctx, "health"); err != nil || c != *at(2, clipID("b")) {
		t.Errorf("%+v, %v", c, err)
	}
	if h := health(t, s); h.Seq != 1 {
		t.Errorf("%+v", h)
	}
}

// mounted returns a folder with a small disk of its own.
func mounted(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skip("no right to mount a disk:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestTheStoreContinuesInMemoryIfItsDiskFills(t *testing.T) {
	dir := mounted(t, "24m")
	s, done := spared(t, dir)
	epoch := health(t, s).Epoch
	claim(t, s, row("square", 1, 1, clipID("a")), at(0, ""), at(1, clipID("a")))
	fill := func() {
		f, err := os.OpenFile(filepath.Join(dir, "junk"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(t, err)
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		must(t, f.Close())
	}
	// Fill also the room that the write-ahead log and the ballast give back.
	for i := 0; !health(t, s).Volatile; i++ {
		if i == 200 {
			t.Fatal("it never went over to memory")
		}
		fill()
		must(t, s.PutManifest(t.Context(), playlist.Manifest{Scope: playlist.Scope(fmt.Sprint("fill", i)), Note: strings.Repeat("x", 100_000)}))
	}
	between(t, s)
	must(t, os.Remove(filepath.Join(dir, "junk")))
	done()
	s, done = spared(t, dir)
	afterwards(t, s, epoch)
	done()
	if _, err := os.Stat(filepath.Join(dir, "dalaba.db")); err != nil {
		t.Error(err)
	}
}

// failingDisk mounts a disk that fail turns read-only, as an error does, while
// files are open on it.
func failingDisk(t *testing.T, dir string) (fail, mend func()) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 64<<20))
	if said, err := osexec.Command("mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		t.Skipf("no disk can be made: %v %s", err, said)
	}
	mount := func() error {
		said, err := osexec.Command("mount", "-o", "loop,errors=remount-ro", image, dir).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return err
	}
	if err := mount(); err != nil {
		t.Skip("no right to mount a disk:", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	fail = func() {
		said, err := osexec.Command("findmnt", "-no", "SOURCE", dir).Output()
		must(t, err)
		trigger := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(said))), "trigger_fs_error")
		if err := os.WriteFile(trigger, []byte("1"), 0); err != nil {
			t.Skip("the disk cannot be made to fail:", err)
		}
	}
	mend = func() {
		must(t, unix.Unmount(dir, 0))
		_ = osexec.Command("e2fsck", "-fy", image).Run() // its exit code only says that it repaired something
		must(t, mount())
	}
	return fail, mend
}

func TestTheStoreContinuesInMemoryIfItsDiskTurnsReadOnly(t *testing.T) {
	dir := t.TempDir()
	fail, mend := failingDisk(t, dir)
	s, done := spared(t, dir)
	epoch := health(t, s).Epoch
	claim(t, s, row("square", 1, 1, clipID("a")), at(0, ""), at(1, clipID("a")))
	fail()
	between(t, s)
	done() // the disk is still read-only
	// A daemon that starts now knows what has aired.
	o := options()
	s, err := data.OpenVolatile(t.Context(), dir, o)
	must(t, err)
	if err := s.Claim(t.Context(), asrun.Claim{Row: row("square", 2, 1, clipID("b"))}); !errors.Is(err, asrun.ErrClaimed) {
		t.Errorf("claimed again: %v", err)
	}
	must(t, s.Close())
	mend()
	s, done = spared(t, dir)
	afterwards(t, s, epoch)
	done()
}

func TestAStoreOnAReadOnlyDiskIsLockedAndOpensInMemory(t *testing.T) {
	dir := mounted(t, "32m")
	s, ctx := open(t, dir), t.Context()
	c := addClip(t, s, "sound", "发热", 1)
	record(t, s, 1)
	must(t, s.Close())
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	_, err := data.Open(ctx, dir, options())
	if !errors.Is(err, data.ErrReadOnly) || !strings.Contains(say.In(say.Chinese, err), "只读") {
		t.Errorf("open: %v", err)
	}
	held, err := data.Lock(dir)
	must(t, err)
	if _, err := data.Lock(dir); !errors.Is(err, data.ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("a second lock: %v", err)
	}
	if pid, ok := data.Running(dir); !ok || pid != os.Getpid() {
		t.Errorf("running: %d, %v", pid, ok)
	}
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, ""))
	if _, err := data.Lock(dir); !errors.Is(err, data.ErrLocked) {
		t.Errorf("a second lock with the disk mended: %v", err)
	}
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	must(t, held.Release())
	if pid, ok := data.Running(dir); ok {
		t.Errorf("%d still runs", pid)
	}
	look, err := data.OpenReadOnly(ctx, dir)
	must(t, err)
	if n := rowCount(t, look); n != 1 {
		t.Errorf("looking shows %d rows", n)
	}
	must(t, look.Close())
	s, err = data.OpenVolatile(ctx, dir, options())
	must(t, err)
	if _, path, err := s.Clip(ctx, c.ID); err != nil || path != filepath.Join(dir, "clips", string(c.ID)+".mp3") {
		t.Errorf("%q, %v", path, err)
	}
	record(t, s, 2)
	if n := rowCount(t, s); n != 2 {
		t.Errorf("%d rows", n)
	}
	must(t, s.Close())
}

// fillDisk fills the disk on which dir lies; mend gives the room back.
func fillDisk(t *testing.T, dir string) (mend func()) {
	t.Helper()
	junk := filepath.Join(dir, "junk")
	f, err := os.Create(junk)
	must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	must(t, f.Close())
	return func() { must(t, os.Remove(junk)) }
}

var damages = []struct {
	name string
	harm func(t *testing.T, db string)
}{
	{"missing", func(t *testing.T, db string) { must(t, os.Remove(db)) }},
	{"no database", func(t *testing.T, db string) { scribble(t, db, 0, 64) }},
	{"a bad page", func(t *testing.T, db string) { scribble(t, db, 3*4096, 4096) }},
}

func TestDamageIsRepairedOnceTheDiskCanBeWritten(t *testing.T) {
	disks := []struct {
		name string
		fail func(t *testing.T, dir string) (mend func())
	}{
		{"full", fillDisk},
		{"read-only", func(t *testing.T, dir string) (mend func()) {
			must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
			return func() { must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "")) }
		}},
	}
	for _, disk := range disks {
		for _, damage := range damages {
			t.Run(disk.name+", "+damage.name, func(t *testing.T) {
				dir := mounted(t, "24m")
				epoch := backedUp(t, dir)
				damage.harm(t, filepath.Join(dir, "dalaba.db"))
				must(t, os.Remove(filepath.Join(dir, "ballast")))
				mend := disk.fail(t, dir)
				synctest.Test(t, func(t *testing.T) {
					o := options()
					var damaged atomic.Int32
					o.OnDamage = func(error) { damaged.Add(1) }
					if _, err := data.Open(t.Context(), dir, o); !errors.Is(err, data.ErrFull) && !errors.Is(err, data.ErrReadOnly) {
						t.Fatal(err)
					}
					s, err := data.OpenVolatile(t.Context(), dir, o)
					must(t, err)
					defer func() { must(t, s.Close()) }()
					record(t, s, 100)
					time.Sleep(time.Minute)
					synctest.Wait()
					if n := damaged.Load(); n > 0 || !health(t, s).Volatile {
						t.Errorf("the daemon was told to end %d times", n)
					}
					record(t, s, 101)
					mend()
					time.Sleep(time.Minute)
					synctest.Wait()
					h := health(t, s)
					if n := damaged.Load(); n > 0 || h.Volatile || h.Epoch == epoch || rowCount(t, s) != 42 {
						t.Errorf("told to end %d times, %d rows, %+v", n, rowCount(t, s), h)
					}
					if len(h.Losses) != 1 || h.Losses[0].Backup == "" || (h.Losses[0].Aside == "") != (damage.name == "missing") {
						t.Errorf("%+v", h.Losses)
					}
				})
			})
		}
	}
}

func TestTheBallastMakesRoomToRestoreTheDatabase(t *testing.T) {
	for _, tt := range damages {
		t.Run(tt.name, func(t *testing.T) {
			dir := mounted(t, "24m")
			epoch := backedUp(t, dir)
			tt.harm(t, filepath.Join(dir, "dalaba.db"))
			fillDisk(t, dir)
			s, err := data.Open(t.Context(), dir, options())
			must(t, err)
			h := health(t, s)
			if rowCount(t, s) != 40 || h.Ballast || h.Epoch == epoch {
				t.Errorf("%d rows, %+v", rowCount(t, s), h)
			}
			if len(h.Losses) != 1 || h.Losses[0].Backup == "" || (h.Losses[0].Aside == "") != (tt.name == "missing") {
				t.Errorf("%+v", h.Losses)
			}
			record(t, s, 50)
			must(t, s.Close())
		})
	}
}

func TestNoClipIsDeletedOnAReadOnlyDisk(t *testing.T) {
	dir, ctx := mounted(t, "24m"), t.Context()
	s := open(t, dir)
	c := addClip(t, s, "sound", "发热", 1)
	must(t, s.Close())
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	s, err := data.OpenVolatile(ctx, dir, options())
	must(t, err)
	if freed, err := s.Shed(ctx, 1<<20, func(playlist.ClipID) bool { return false }); freed != 0 || !errors.Is(err, data.ErrReadOnly) {
		t.Errorf("freed %d, %v", freed, err)
	}
	if err := s.RemoveClipFile(ctx, c.ID); !errors.Is(err, data.ErrReadOnly) {
		t.Error(err)
	}
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, ""))
	must(t, s.Close())
	if all, err := open(t, dir).Clips(ctx, ""); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestAStoreInMemoryTellsThatAnotherProgramHoldsTheDatabase(t *testing.T) {
	for _, c := range []struct {
		name  string
		why   error
		inUse bool
	}{
		{"it holds locks", fmt.Errorf("%w: locking protocol", data.ErrInUse), true},
		{"the disk fails", data.ErrReadOnly, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			backedUp(t, dir)
			o := options()
			o.Why = c.why
			s, err := data.OpenVolatile(t.Context(), dir, o)
			must(t, err)
			if h := health(t, s); !h.Volatile || h.InUse != c.inUse {
				t.Errorf("%+v", h)
			}
			must(t, s.Close())
		})
	}
}
