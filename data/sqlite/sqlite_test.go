package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/mattn/go-sqlite3"

	"dalaba/data/sqlite"
)

var first = fstest.MapFS{
	"0001_start.sql": {Data: []byte("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL) STRICT; INSERT INTO t (a) VALUES ('one');")},
}

var second = fstest.MapFS{
	"0001_start.sql": first["0001_start.sql"],
	"0002_more.sql":  {Data: []byte("ALTER TABLE t ADD COLUMN b TEXT NOT NULL DEFAULT 'b'; UPDATE t SET a = a || '!';")},
}

func open(t *testing.T, path string, m fs.FS) *sqlite.DB {
	t.Helper()
	d, err := sqlite.Open(t.Context(), path, m, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func insert(ctx context.Context, d *sqlite.DB, a string) error {
	return d.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO t (a) VALUES (?)", a)
		return err
	})
}

func count(t *testing.T, d *sqlite.DB) (n int) {
	t.Helper()
	if err := d.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// odd returns a path with characters that have a meaning in a URL.
func odd(t *testing.T) string { return filepath.Join(t.TempDir(), "a b?c#d%20.db") }

func TestEveryConnectionHasItsPragmas(t *testing.T) {
	path := odd(t)
	d := open(t, path, first)
	err := d.Write(t.Context(), func(tx *sql.Tx) error {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "wal_autocheckpoint": "256",
		} {
			var got string
			if err := tx.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("writer: %s is %s, want %s, %v", pragma, got, want, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reader().ExecContext(t.Context(), "INSERT INTO t (a) VALUES ('x')"); err == nil {
		t.Error("a reader wrote")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("it lies elsewhere:", err)
	}
}

func TestMigrations(t *testing.T) {
	t.Run("run once, forward, and keep the data", func(t *testing.T) {
		path := odd(t)
		d := open(t, path, first)
		if err := insert(t.Context(), d, "two"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			d = open(t, path, second)
			var all string
			err := d.Reader().QueryRow("SELECT group_concat(a || b, ' ') FROM (SELECT * FROM t ORDER BY id)").Scan(&all)
			if v, verr := d.Version(t.Context()); all != "one!b two!b" || v != 2 || err != nil || verr != nil {
				t.Fatalf("%q at %d, %v, %v", all, v, err, verr)
			}
		}
	})
	t.Run("a newer schema is refused and left as it is", func(t *testing.T) {
		path := odd(t)
		if err := open(t, path, second).Close(); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sqlite.Open(t.Context(), path, first, sqlite.Options{}); !errors.Is(err, sqlite.ErrNewer) {
			t.Error(err)
		}
		if _, err := sqlite.OpenReadOnly(t.Context(), path, first); !errors.Is(err, sqlite.ErrNewer) {
			t.Error("read-only:", err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Error("it was changed")
		}
	})
	t.Run("an older program runs with one that only adds", func(t *testing.T) {
		path := odd(t)
		adds := fstest.MapFS{
			"0001_start.sql":     first["0001_start.sql"],
			"0002_more.adds.sql": {Data: []byte("ALTER TABLE t ADD COLUMN b TEXT NOT NULL DEFAULT 'b';")},
		}
		for range 2 {
			if err := open(t, path, adds).Close(); err != nil {
				t.Fatal(err)
			}
			old := open(t, path, first)
			if err := insert(t.Context(), old, "old"); err != nil {
				t.Fatal(err)
			}
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			look, err := sqlite.OpenReadOnly(t.Context(), path, first)
			if err != nil {
				t.Fatal(err)
			}
			if err := look.Close(); err != nil {
				t.Fatal(err)
			}
			if look, err = sqlite.OpenReadOnly(t.Context(), path, adds); err != nil {
				t.Fatal(err)
			}
			if err := look.Close(); err != nil {
				t.Fatal(err)
			}
		}
		// A migration that does more than add keeps back all that follow it.
		whole := maps.Clone(adds)
		whole["0003_change.sql"] = &fstest.MapFile{Data: []byte("UPDATE t SET b = b || '!';")}
		d := open(t, path, whole)
		var all string
		err := d.Reader().QueryRow("SELECT group_concat(a || b, ' ') FROM (SELECT * FROM t ORDER BY id)").Scan(&all)
		if v, verr := d.Version(t.Context()); all != "oneb! oldb! oldb!" || v != 3 || err != nil || verr != nil {
			t.Fatalf("%q at %d, %v, %v", all, v, err, verr)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlite.Open(t.Context(), path, adds, sqlite.Options{}); !errors.Is(err, sqlite.ErrNewer) {
			t.Error(err)
		}
	})
	t.Run("a database without one that only adds cannot be opened read-only", func(t *testing.T) {
		path := odd(t)
		if err := open(t, path, first).Close(); err != nil {
			t.Fatal(err)
		}
		adds := fstest.MapFS{"0001_start.sql": first["0001_start.sql"], "0002_more.adds.sql": {Data: []byte("CREATE TABLE u (a INTEGER) STRICT;")}}
		if _, err := sqlite.OpenReadOnly(t.Context(), path, adds); !errors.Is(err, sqlite.ErrOlder) {
			t.Error(err)
		}
	})
	t.Run("a database with an older schema cannot be opened read-only", func(t *testing.T) {
		path := odd(t)
		if err := open(t, path, first).Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlite.OpenReadOnly(t.Context(), path, second); !errors.Is(err, sqlite.ErrOlder) {
			t.Error(err)
		}
	})
	t.Run("one that fails leaves the schema before it", func(t *testing.T) {
		path := odd(t)
		broken := fstest.MapFS{"0001_start.sql": first["0001_start.sql"], "0002_bad.sql": {Data: []byte("DROP TABLE t; SELECT nonsense FROM nowhere;")}}
		if _, err := sqlite.Open(t.Context(), path, broken, sqlite.Options{}); err == nil || !strings.Contains(err.Error(), "0002_bad.sql") {
			t.Fatal(err)
		}
		if n := count(t, open(t, path, first)); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
	t.Run("a gap in the numbers is an error", func(t *testing.T) {
		gap := fstest.MapFS{"0001_start.sql": first["0001_start.sql"], "0003_more.sql": second["0002_more.sql"]}
		if _, err := sqlite.Open(t.Context(), odd(t), gap, sqlite.Options{}); err == nil {
			t.Error("opened")
		}
	})
	t.Run("two programs at once migrate once", func(t *testing.T) {
		path := odd(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				d, err := sqlite.Open(t.Context(), path, second, sqlite.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := count(t, open(t, path, second)); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestAFailedTransactionKeepsNothing(t *testing.T) {
	d := open(t, odd(t), first)
	fault := errors.New("no")
	err := d.Write(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM t"); err != nil {
			return err
		}
		return fault
	})
	if !errors.Is(err, fault) || count(t, d) != 1 {
		t.Errorf("%v, %d rows", err, count(t, d))
	}
}

func TestDamageIsFound(t *testing.T) {
	tests := []struct {
		name   string
		damage func([]byte) []byte
		probe  bool // found without reading every page
	}{
		{"a page in the middle", func(b []byte) []byte { return overwrite(b, len(b)/2) }, false},
		{"the first page", func(b []byte) []byte { return overwrite(b, 0) }, true},
		{"the schema", func(b []byte) []byte { return overwrite(b, 100) }, true},
		{"the last page of a table", func(b []byte) []byte { return overwrite(b, len(b)-4096) }, true},
		{"the end cut off", func(b []byte) []byte { return b[:len(b)/2] }, true},
		{"another kind of file", func([]byte) []byte { return []byte(strings.Repeat("not a database\n", 1000)) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := odd(t)
			d := open(t, path, first)
			err := d.Write(t.Context(), func(tx *sql.Tx) error { // one transaction: the disk is synced once
				for i := range 400 {
					if _, err := tx.Exec("INSERT INTO t (a) VALUES (?)", strings.Repeat(fmt.Sprint(i), 100)); err != nil {
						return err
					}
				}
				return nil
			})
			if err := errors.Join(err, d.Close()); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tt.damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := sqlite.CheckFile(t.Context(), path); !errors.Is(err, sqlite.ErrDamaged) {
				t.Error("check of the file:", err)
			}
			if _, err := sqlite.Open(t.Context(), path, first, sqlite.Options{}); !errors.Is(err, sqlite.ErrDamaged) {
				t.Error("open:", err)
			}
			d, err = sqlite.Open(t.Context(), path, first, sqlite.Options{CheckUpTo: 1})
			if tt.probe {
				if !errors.Is(err, sqlite.ErrDamaged) {
					t.Error("open with a probe:", err)
				}
				return
			}
			if err != nil || d.Checked() {
				t.Fatalf("checked %v, %v", d.Checked(), err)
			}
			if err := d.Check(t.Context()); !errors.Is(err, sqlite.ErrDamaged) {
				t.Error("check afterwards:", err)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func overwrite(b []byte, from int) []byte {
	if from > 100 {
		from -= from % 4096
	}
	for i := from; i < from+3996 && i < len(b); i++ {
		b[i] = 0xA5
	}
	return b
}

func TestABackupIsCompleteWhileOthersWrite(t *testing.T) {
	path := odd(t)
	d := open(t, path, first)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := insert(context.Background(), d, "x"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 5 {
		to := filepath.Join(t.TempDir(), "copy?.db")
		if err := d.Backup(t.Context(), to); err != nil {
			t.Fatal(i, err)
		}
		if err := sqlite.CheckFile(t.Context(), to); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(to), "*")); len(left) != 1 {
			t.Error(left)
		}
		c := open(t, to, first)
		if v, err := c.Version(t.Context()); v != 1 || err != nil || count(t, c) == 0 {
			t.Errorf("version %d, %v", v, err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestADatabaseCanBeReadWhileAnotherProgramWritesIt(t *testing.T) {
	path := odd(t)
	if _, err := sqlite.OpenReadOnly(t.Context(), path, first); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("looking made the file")
	}
	d := open(t, path, first)
	if err := insert(t.Context(), d, "two"); err != nil {
		t.Fatal(err)
	}
	look, err := sqlite.OpenReadOnly(t.Context(), path, first)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, look); n != 2 {
		t.Errorf("%d rows", n)
	}
	if err := insert(t.Context(), d, "three"); err != nil {
		t.Errorf("the one who looks stops the one who writes: %v", err)
	}
	if n := count(t, look); n != 3 {
		t.Errorf("%d rows", n)
	}
	if err := insert(t.Context(), look, "four"); err == nil {
		t.Error("wrote")
	}
	if err := errors.Join(look.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	// Now no other program has it open.
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	look, err = sqlite.OpenReadOnly(t.Context(), path, first)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, look); n != 3 {
		t.Errorf("%d rows", n)
	}
	if err := look.Close(); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("looking changed the file")
	}
	if n := count(t, open(t, path, first)); n != 3 {
		t.Errorf("%d rows", n)
	}
}

func TestLocksOfOthersAreNoFaultOfTheDisk(t *testing.T) {
	for _, code := range []sqlite3.ErrNo{sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrProtocol} {
		if err := sqlite.Classify(sqlite3.Error{Code: code}); !errors.Is(err, sqlite.ErrInUse) || errors.Is(err, sqlite.ErrDisk) {
			t.Error(err)
		}
	}
}
