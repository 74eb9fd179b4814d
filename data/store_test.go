package data_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
)

func record(t *testing.T, s *data.Store, item int) {
	t.Helper()
	r := row("square", item, 0, "")
	r.Outcome, r.Reason = asrun.Missed, asrun.ReasonOff
	if err := s.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func rowCount(t *testing.T, s *data.Store) (n int) {
	t.Helper()
	for _, err := range s.AsRun(t.Context(), data.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func health(t *testing.T, s *data.Store) data.Health {
	t.Helper()
	h, err := s.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// backedUp makes a store of 40 rows with a backup, writes one more row and
// closes it.
func backedUp(t *testing.T, dir string) (epoch string) {
	t.Helper()
	s := open(t, dir)
	for i := range 40 {
		record(t, s, i+1)
	}
	if path, err := s.BackupDue(t.Context(), due, 7); path == "" || err != nil {
		t.Fatal(path, err)
	}
	record(t, s, 41)
	epoch = health(t, s).Epoch
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return epoch
}

func TestDamageIsSetAsideAndTheBackupRestored(t *testing.T) {
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		rows   int
		aside  bool
		backup bool
	}{
		{"a page overwritten", func(t *testing.T, dir string) {
			scribble(t, filepath.Join(dir, "dalaba.db"), 3*4096, 4096)
		}, 40, true, true},
		{"the header overwritten", func(t *testing.T, dir string) {
			scribble(t, filepath.Join(dir, "dalaba.db"), 0, 64)
		}, 40, true, true},
		{"the file cut short", func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, "dalaba.db"), 8192))
		}, 40, true, true},
		{"the file emptied", func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, "dalaba.db"), 0))
		}, 40, true, true},
		{"the file gone", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "dalaba.db")))
		}, 40, false, true},
		{"the file damaged and so is the backup", func(t *testing.T, dir string) {
			scribble(t, filepath.Join(dir, "dalaba.db"), 3*4096, 4096)
			all, _ := filepath.Glob(filepath.Join(dir, "backup", "*"))
			scribble(t, all[0], 3*4096, 4096)
		}, 0, true, false},
		{"the file damaged and no backup", func(t *testing.T, dir string) {
			scribble(t, filepath.Join(dir, "dalaba.db"), 0, 64)
			must(t, os.RemoveAll(filepath.Join(dir, "backup")))
		}, 0, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			epoch := backedUp(t, dir)
			tt.damage(t, dir)
			var log strings.Builder
			o := options()
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			s, err := data.Open(t.Context(), dir, o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if n := rowCount(t, s); n != tt.rows {
				t.Errorf("%d rows, want %d", n, tt.rows)
			}
			if !strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("no word of it in the log: %s", log.String())
			}
			h := health(t, s)
			if h.Epoch == epoch || h.Seq != 0 {
				t.Errorf("receipts go on in the old epoch at %d", h.Seq)
			}
			if len(h.Losses) != 1 {
				t.Fatalf("losses: %+v", h.Losses)
			}
			l := h.Losses[0]
			if (l.Aside != "") != tt.aside || (l.Backup != "") != tt.backup || !l.At.Equal(due) || l.Why == "" {
				t.Errorf("%+v", l)
			}
			if tt.rows > 0 && !l.Newest.Equal(due) {
				t.Errorf("newest row kept: %v", l.Newest)
			}
			if l.Aside != "" {
				if _, err := os.Stat(l.Aside); err != nil {
					t.Error(err)
				}
			}
			record(t, s, 50)
			if h := health(t, s); h.Seq != 1 {
				t.Errorf("the first receipt after it is %d", h.Seq)
			}
			// A second start finds no fault.
			must(t, s.Close())
			s = open(t, dir)
			if h := health(t, s); len(h.Losses) != 1 || rowCount(t, s) != tt.rows+1 {
				t.Errorf("after another start: %+v", h.Losses)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await waits for what another goroutine sends, however slow the machine is.
func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(5 * time.Minute):
		t.Fatalf("%s did not come in five minutes", what)
		panic("unreachable")
	}
}

func scribble(t *testing.T, path string, at int64, n int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte(strings.Repeat("\xA5", n)), at)
	must(t, errors.Join(err, f.Close()))
}

func TestATruncatedWriteAheadLogLosesOnlyItsEnd(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	s := open(t, from)
	for i := range 20 {
		record(t, s, i+1)
	}
	// As a power cut would leave them while the store is open.
	copyFile(t, filepath.Join(from, "dalaba.db"), filepath.Join(to, "dalaba.db"))
	copyFile(t, filepath.Join(from, "dalaba.db-wal"), filepath.Join(to, "dalaba.db-wal"))
	fi, err := os.Stat(filepath.Join(to, "dalaba.db-wal"))
	must(t, err)
	must(t, os.Truncate(filepath.Join(to, "dalaba.db-wal"), fi.Size()-5000))
	cut := open(t, to)
	n := rowCount(t, cut)
	if n == 0 || n >= 20 {
		t.Errorf("%d rows of 20", n)
	}
	h := health(t, cut)
	if int(h.Seq) != n {
		t.Errorf("%d rows and receipt %d", n, h.Seq)
	}
	if len(h.Losses) != 0 {
		t.Errorf("%+v", h.Losses)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, b, 0o600))
}

func TestDamageInALargeStoreIsFoundInTheBackground(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, dir).Close())
	path := filepath.Join(dir, "dalaba.db")
	fill(t, path, 150_000)
	fi, err := os.Stat(path)
	must(t, err)
	if fi.Size() < 33<<20 {
		t.Fatalf("%d bytes are too few for this test", fi.Size())
	}
	scribble(t, path, fi.Size()/2/4096*4096, 4096)
	o, found := options(), make(chan error, 1)
	o.OnDamage = func(err error) { found <- err }
	s, err := data.Open(t.Context(), dir, o)
	must(t, err)
	if err := await(t, "word of the damage", found); !errors.Is(err, data.ErrDamaged) {
		t.Error(err)
	}
	must(t, s.Close())
	// The next start sees the mark and repairs the database.
	s = open(t, dir)
	if h := health(t, s); len(h.Losses) != 1 || h.Losses[0].Aside == "" {
		t.Errorf("%+v", h.Losses)
	}
	must(t, s.Close())
	if h := health(t, open(t, dir)); len(h.Losses) != 1 {
		t.Errorf("put right twice: %+v", h.Losses)
	}
}

func TestDamageThatAReaderFindsIsReported(t *testing.T) {
	dir := t.TempDir()
	backedUp(t, dir)
	found := make(chan error, 1)
	o := options()
	o.OnDamage = func(err error) { found <- err }
	s, err := data.Open(t.Context(), dir, o)
	must(t, err)
	// The write-ahead log is empty: what is read is in the file.
	fi, err := os.Stat(filepath.Join(dir, "dalaba.db"))
	must(t, err)
	scribble(t, filepath.Join(dir, "dalaba.db"), 4096, int(fi.Size())-4096)
	if _, err := s.Rows(t.Context(), "morning@20260305T073000Z"); !errors.Is(err, data.ErrDamaged) {
		t.Errorf("rows: %v", err)
	}
	if err := await(t, "word of the damage", found); !errors.Is(err, data.ErrDamaged) {
		t.Error(err)
	}
	_ = s.Close()
	s = open(t, dir)
	if h := health(t, s); len(h.Losses) != 1 || rowCount(t, s) != 40 {
		t.Errorf("%+v", h.Losses)
	}
}

func TestRepairIsNotDoneUnderARunningDaemon(t *testing.T) {
	dir := t.TempDir()
	backedUp(t, dir)
	scribble(t, filepath.Join(dir, "dalaba.db"), 0, 64)
	held, err := data.Lock(dir)
	must(t, err)
	defer func() { _ = held.Release() }()
	_, err = data.Open(t.Context(), dir, options())
	if !errors.Is(err, data.ErrDamaged) {
		t.Fatal(err)
	}
	if zh := say.In(say.Chinese, err); !strings.Contains(zh, "损坏") {
		t.Error(zh)
	}
	o := options()
	o.Lock = held
	s, err := data.Open(t.Context(), dir, o)
	must(t, err)
	if n := rowCount(t, s); n != 40 {
		t.Errorf("%d rows", n)
	}
	must(t, s.Close())
}

func TestOnlyTheLastDatabasesSetAsideAreKept(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		must(t, open(t, dir).Close())
		scribble(t, filepath.Join(dir, "dalaba.db"), 0, 64)
		when := time.Now().Add(time.Duration(i-10) * time.Hour)
		must(t, os.Chtimes(filepath.Join(dir, "dalaba.db"), when, when))
	}
	s := open(t, dir)
	all, err := filepath.Glob(filepath.Join(dir, "dalaba.db.damaged-*"))
	if len(all) != 3 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	if l := health(t, s).Losses; len(l) != 1 || !slices.Contains(all, l[0].Aside) {
		t.Errorf("%+v, %v", l, all)
	}
}

func TestOnlyOneDaemonHoldsAStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if pid, ok := data.Running(dir); ok {
		t.Fatal("running as", pid)
	}
	held, err := data.Lock(dir)
	must(t, err)
	if pid, ok := data.Running(dir); !ok || pid != os.Getpid() {
		t.Error(pid, ok)
	}
	_, err = data.Lock(dir)
	if !errors.Is(err, data.ErrLocked) {
		t.Fatal(err)
	}
	for _, l := range []say.Lang{say.Chinese, say.English} {
		if text := say.In(l, err); !strings.Contains(text, dir) || strings.Contains(text, "%!") {
			t.Error(text)
		}
	}
	// Other programs write beside it.
	s := open(t, dir)
	record(t, s, 1)
	must(t, held.Release())
	if _, ok := data.Running(dir); ok {
		t.Error("still running")
	}
	again, err := data.Lock(dir)
	must(t, err)
	must(t, again.Release())
}

func TestABackupIsMadeOnceADayAndTheLastOnesAreKept(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	half := filepath.Join(dir, "backup", "dalaba-000001-20261101T000000Z.db.tmp")
	must(t, os.WriteFile(half, nil, 0o600))
	for day := range 10 {
		now := due.AddDate(0, 0, day)
		path, err := s.BackupDue(ctx, now, 7)
		if err != nil || path == "" {
			t.Fatalf("day %d: %q, %v", day, path, err)
		}
		if path, err := s.BackupDue(ctx, now.Add(23*time.Hour), 7); err != nil || path != "" {
			t.Errorf("day %d: another one after 23 hours: %q, %v", day, path, err)
		}
	}
	h := health(t, s)
	if _, err := os.Stat(half); err == nil {
		t.Error("half a backup is still there")
	}
	if h.Backups != 7 || !h.LastBackup.Equal(due.AddDate(0, 0, 9)) || !h.Checked.Equal(due.AddDate(0, 0, 9)) {
		t.Errorf("%+v", h)
	}
	_, err := s.BackupDue(ctx, due.AddDate(0, 0, 10), 2)
	must(t, err)
	if n := health(t, s).Backups; n != 2 {
		t.Errorf("%d backups, 2 wanted", n)
	}
	// The clock was wrong and is corrected: the newest backup stays the newest.
	path, err := s.BackupDue(ctx, due, 7)
	if err != nil || path == "" {
		t.Fatalf("%q, %v", path, err)
	}
	if h := health(t, s); !h.LastBackup.Equal(due) {
		t.Errorf("%+v", h)
	}
}

func TestANewerStoreIsRefusedAndNotChanged(t *testing.T) {
	dir := t.TempDir()
	backedUp(t, dir)
	db, err := sql.Open("sqlite3", filepath.Join(dir, "dalaba.db"))
	must(t, err)
	_, err = db.Exec("PRAGMA user_version = 999")
	must(t, errors.Join(err, db.Close()))
	_, err = data.Open(t.Context(), dir, options())
	if !errors.Is(err, data.ErrNewer) {
		t.Fatal(err)
	}
	if zh := say.In(say.Chinese, err); !strings.Contains(zh, "升级") {
		t.Error(zh)
	}
	if _, err := data.OpenReadOnly(t.Context(), dir); !errors.Is(err, data.ErrNewer) {
		t.Error(err)
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "*damaged*")); len(all) > 0 {
		t.Error("set aside:", all)
	}
}

func TestAStoreOpenedReadOnlyChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := data.OpenReadOnly(t.Context(), dir); !errors.Is(err, data.ErrNoStore) {
		t.Fatal(err)
	}
	s := open(t, dir)
	record(t, s, 1)
	look, err := data.OpenReadOnly(t.Context(), dir)
	must(t, err)
	defer func() { _ = look.Close() }()
	record(t, s, 2)
	if n := rowCount(t, look); n != 2 {
		t.Errorf("%d rows", n)
	}
	if err := look.SetWatermark(t.Context(), due); err == nil {
		t.Error("wrote")
	}
	if h := health(t, look); h.Seq != 2 || h.Schema < 4 || !h.Ballast || h.Free == 0 || h.Size == 0 {
		t.Errorf("%+v", h)
	}
}

func TestPruneDeletesMoreRowsThanOneBatch(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, dir).Close())
	fill(t, filepath.Join(dir, "dalaba.db"), 5000)
	s := open(t, dir)
	n, err := s.Prune(t.Context(), time.Unix(3000*600, 0), 0, true)
	if n != 2999 || err != nil || rowCount(t, s) != 2001 {
		t.Errorf("%d, %v, %d left", n, err, rowCount(t, s))
	}
}

func TestFactsOutliveARestart(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := open(t, dir)
	if c, err := s.Clock(ctx); c != "" || err != nil {
		t.Errorf("of a new store: %q, %v", c, err)
	}
	if at, err := s.Started(ctx); !at.IsZero() || err != nil {
		t.Errorf("of a new store: %v, %v", at, err)
	}
	at := time.Date(2026, 3, 5, 7, 30, 0, 0, time.UTC)
	scope := playlist.AreaScope("320924100201")
	must(t, s.SetClock(ctx, playlist.ClockUntrusted))
	must(t, s.SetClock(ctx, playlist.ClockTrusted))
	must(t, s.SetClockVouched(ctx, "boot-1", at))
	must(t, s.SetStarted(ctx, at))
	must(t, s.SetSynced(ctx, at.Add(time.Minute)))
	must(t, s.SetLags(ctx, []data.Lag{{Kind: "manifest", Scope: scope, Version: 7, Here: 5}}))
	must(t, s.SetAutoCard(ctx, "hw:1"))
	must(t, s.SetSlotsSince(ctx, map[string]time.Time{"morning": at}))
	must(t, s.PutManifest(ctx, playlist.Manifest{Scope: scope, Version: 3}))
	must(t, s.PutManifest(ctx, playlist.Manifest{Scope: "else", Version: 1}))
	must(t, s.DropManifest(ctx, "else"))
	must(t, s.Close())
	s = open(t, dir)
	if c, err := s.Clock(ctx); c != playlist.ClockTrusted || err != nil {
		t.Errorf("clock: %q, %v", c, err)
	}
	if boot, began, err := s.ClockVouched(ctx); boot != "boot-1" || !began.Equal(at) || err != nil {
		t.Errorf("vouched: %q, %v, %v", boot, began, err)
	}
	if got, err := s.Started(ctx); !got.Equal(at) || err != nil {
		t.Errorf("started: %v, %v", got, err)
	}
	if got, err := s.Synced(ctx); !got.Equal(at.Add(time.Minute)) || err != nil {
		t.Errorf("synced: %v, %v", got, err)
	}
	if lags, err := s.Lags(ctx); len(lags) != 1 || lags[0] != (data.Lag{Kind: "manifest", Scope: scope, Version: 7, Here: 5}) || err != nil {
		t.Errorf("lags: %+v, %v", lags, err)
	}
	if card, err := s.AutoCard(ctx); card != "hw:1" || err != nil {
		t.Errorf("card: %q, %v", card, err)
	}
	if since, err := s.SlotsSince(ctx); len(since) != 1 || !since["morning"].Equal(at) || err != nil {
		t.Errorf("slots: %v, %v", since, err)
	}
	if m, err := s.Manifests(ctx); len(m) != 1 || m[scope].Version != 3 || err != nil {
		t.Errorf("manifests: %v, %v", m, err)
	}
}

func TestKeepFileReplacesAFileAsAWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kept")
	must(t, os.WriteFile(path+".tmp", []byte("what a power cut left"), 0o644))
	for _, text := range []string{"one", "another"} {
		must(t, data.KeepFile(path, []byte(text)))
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the temporary file is left over")
	}
	if err := data.KeepFile(filepath.Join(path, "no folder"), nil); err == nil {
		t.Error("kept in no folder")
	}
}
