// Package sqlite opens the SQLite databases of the controller and the county so
// that they survive power cuts: write-ahead log, full synchronisation, one
// writer, strict migrations, a check for damage, complete backups.
//
// A [DB] has one writing connection and a pool that can only read. Pragmas are
// in the DSN, so that every connection has them.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

var (
	// ErrNewer says that a later program made the database: this program does
	// not know its schema and has changed nothing.
	ErrNewer = errors.New("the database has a newer schema")

	// ErrOlder says that a database opened for reading lacks migrations.
	ErrOlder = errors.New("the database has an older schema")

	// ErrDamaged says that the file is not a database, or that some of its
	// pages contradict one another.
	ErrDamaged = errors.New("the database is damaged")

	// ErrFull says that the disk, the quota or the file size limit left no
	// room for a write. Nothing of the transaction was kept.
	ErrFull = errors.New("no room left on the disk")

	// ErrReadOnly says that the disk or the file is read-only.
	ErrReadOnly = errors.New("the database cannot be written")

	// ErrInUse says that another program holds locks on the database, so that it
	// cannot be used now.
	ErrInUse = errors.New("another program holds locks on the database")

	// ErrDisk says that the disk returned an error.
	ErrDisk = errors.New("the disk fails")
)

// Options of [Open]. The zero value checks everything.
type Options struct {
	// CheckUpTo is the size in bytes up to which Open checks every page. In a
	// larger database Open reads only both ends of each table, and the caller
	// should call [DB.Check]. 0: every page, whatever the size.
	CheckUpTo int64

	// Readers is how many connections may read at once; 0: 4.
	Readers int

	// Damaged is called by each reader that finds damage, from its goroutine.
	Damaged func(error)
}

// DB is one open database.
type DB struct {
	path       string
	w, r       *sql.DB
	readParams string // DSN parameters for opening it for reading once more
	checked    bool
}

// Open opens the database at path, makes it if it does not exist, checks it and
// runs the [Migrations] that it lacks. Each runs once, in one transaction that
// also records its number.
//
// Errors are [ErrNewer], [ErrDamaged], [ErrFull] or the system's.
func Open(ctx context.Context, path string, migrations fs.FS, o Options) (*DB, error) {
	steps, err := Migrations(migrations)
	if err != nil {
		return nil, err
	}
	touch(path)
	d := &DB{path: path, readParams: "mode=ro&_busy_timeout=5000"}
	d.w = sql.OpenDB(writer(dsn(path,
		"mode=rwc&_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_foreign_keys=on&_txlock=immediate")))
	d.w.SetMaxOpenConns(1)
	if err := d.prepare(ctx, steps, o); err != nil {
		return nil, errors.Join(Classify(err), d.w.Close())
	}
	d.r = sql.OpenDB(reader{dsn(path, "mode=ro&_query_only=on&_busy_timeout=5000&_foreign_keys=on"), o.Damaged})
	readers := o.Readers
	if readers == 0 {
		readers = 4
	}
	d.r.SetMaxOpenConns(readers)
	d.r.SetMaxIdleConns(readers)
	return d, nil
}

// private is the mode of the files: who can read one can lock it, and keep others from
// writing.
const private = 0o600

// touch makes an empty file for its owner alone, if there is none at path: SQLite would
// make one that all can read. Its log files get the same mode.
func touch(path string) {
	if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, private); err == nil {
		_ = f.Close()
	} // else SQLite says what is wrong
}

// prepare checks the file and migrates it.
func (d *DB) prepare(ctx context.Context, steps []Migration, o Options) error {
	v, err := version(ctx, d.w)
	if err != nil {
		return err
	}
	if v > len(steps) {
		return fmt.Errorf("%w: it is at %d, this program knows up to %d", ErrNewer, v, len(steps))
	}
	size, err := d.Size()
	if err != nil {
		return err
	}
	if o.CheckUpTo == 0 || size <= o.CheckUpTo {
		err = d.Check(ctx)
		d.checked = true
	} else {
		err = d.probe(ctx)
	}
	if err != nil {
		return err
	}
	left, err := unseen(ctx, d.w, steps)
	if err != nil {
		return err
	}
	for _, m := range left {
		if err := d.migrate(ctx, m); err != nil {
			return fmt.Errorf("migration %s: %w", m.Name, err)
		}
	}
	return nil
}

// seen reports whether a migration has been run on a database: its number is at
// most user_version, or it only adds and is listed in the table "added". A
// program that does not know that table can open the database as well.
func seen(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, m Migration) (yes bool, err error) {
	var at, listed int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&at); err != nil || at >= m.Number || !m.Adds {
		return at >= m.Number, err
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'added'").Scan(&listed); err != nil || listed == 0 {
		return false, err
	}
	err = db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM added WHERE number = ?)", m.Number).Scan(&yes)
	return yes, err
}

// unseen returns the migrations that have not been run on a database.
func unseen(ctx context.Context, db *sql.DB, all []Migration) (left []Migration, err error) {
	for _, m := range all {
		yes, err := seen(ctx, db, m)
		if err != nil {
			return nil, err
		}
		if !yes {
			left = append(left, m)
		}
	}
	return left, nil
}

// migrate runs one migration, unless another process has done so meanwhile.
func (d *DB) migrate(ctx context.Context, m Migration) error {
	tx, err := d.w.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if yes, err := seen(ctx, tx, m); err != nil || yes {
		return err
	}
	if _, err := tx.ExecContext(ctx, m.Text); err != nil {
		return err
	}
	note := fmt.Sprintf("PRAGMA user_version = %d", m.Number)
	if m.Adds {
		note = fmt.Sprintf("CREATE TABLE IF NOT EXISTS added (number INTEGER NOT NULL PRIMARY KEY) STRICT; INSERT INTO added VALUES (%d)", m.Number)
	}
	if _, err := tx.ExecContext(ctx, note); err != nil {
		return err
	}
	return tx.Commit()
}

// OpenReadOnly opens an existing database for reading, whether or not another
// process writes it meanwhile, and changes nothing in it. A read sees what was
// committed when it began. Errors are [fs.ErrNotExist], [ErrNewer], [ErrOlder],
// [ErrDamaged] or the system's.
func OpenReadOnly(ctx context.Context, path string, migrations fs.FS) (*DB, error) {
	steps, err := Migrations(migrations)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	d, err := openReader(ctx, path, "")
	if err != nil && !errors.Is(Classify(err), ErrDamaged) {
		// There is no write-ahead log and none can be made, because the disk is
		// read-only or full: then no other program writes either.
		if fi, werr := os.Stat(path + "-wal"); errors.Is(werr, fs.ErrNotExist) || werr == nil && fi.Size() == 0 {
			d, err = openReader(ctx, path, "&immutable=1")
		}
	}
	if err != nil {
		return nil, Classify(err)
	}
	v, err := version(ctx, d.r)
	switch {
	case err != nil:
		err = Classify(err)
	case v > len(steps):
		err = fmt.Errorf("%w: it is at %d, this program knows up to %d", ErrNewer, v, len(steps))
	default:
		var left []Migration
		if left, err = unseen(ctx, d.r, steps); err != nil {
			err = Classify(err)
		} else if len(left) > 0 {
			err = fmt.Errorf("%w: it lacks migration %s", ErrOlder, left[0].Name)
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.r.Close())
	}
	return d, nil
}

func openReader(ctx context.Context, path, more string) (*DB, error) {
	looking := "mode=ro&_busy_timeout=5000" + more
	r := sql.OpenDB(reader{dsn(path, looking+"&_query_only=on"), nil})
	r.SetMaxOpenConns(2)
	if _, err := version(ctx, r); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &DB{path: path, r: r, readParams: looking}, nil
}

// writer makes writing connections to a DSN.
type writer string

// openWait is how long a writer waits for another process that opens a new
// database at the same time: SQLite itself does not wait while the journal mode
// changes.
const openWait = 5 * time.Second

// Connect sets what cannot be set in the DSN.
func (w writer) Connect(ctx context.Context) (driver.Conn, error) {
	d := sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		// The log stays near 1 MiB instead of 4: on a disk that fills up, the
		// log would take the last free space.
		_, err := c.Exec("PRAGMA wal_autocheckpoint = 256", nil)
		return err
	}}
	for end := time.Now().Add(openWait); ; {
		c, err := d.Open(string(w))
		if e, busy := errors.AsType[sqlite3.Error](err); !busy || e.Code != sqlite3.ErrBusy || time.Now().After(end) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (w writer) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

// reader makes reading connections to a DSN. It marks their errors as
// [Classify] does and calls damaged if one is [ErrDamaged].
type reader struct {
	dsn     string
	damaged func(error)
}

func (r reader) Connect(context.Context) (driver.Conn, error) {
	c, err := (&sqlite3.SQLiteDriver{}).Open(r.dsn)
	if err != nil {
		return nil, r.mark(err)
	}
	return readingConn{c.(*sqlite3.SQLiteConn), r}, nil
}

func (r reader) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (r reader) mark(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	err = Classify(err)
	if errors.Is(err, ErrDamaged) && r.damaged != nil {
		r.damaged(err)
	}
	return err
}

type readingConn struct {
	*sqlite3.SQLiteConn
	r reader
}

func (c readingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.SQLiteConn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, c.r.mark(err)
	}
	return readRows{rows, c.r}, nil
}

type readRows struct {
	driver.Rows
	r reader
}

func (r readRows) Next(into []driver.Value) error { return r.r.mark(r.Rows.Next(into)) }

func dsn(path, params string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params
}

// Close checkpoints the write-ahead log and closes the database.
func (d *DB) Close() error {
	err := d.r.Close()
	if d.w != nil {
		err = errors.Join(err, d.w.Close())
	}
	return err
}

// Path returns the path of the database file.
func (d *DB) Path() string { return d.path }

// Checked reports whether [Open] checked every page.
func (d *DB) Checked() bool { return d.checked }

// Reader returns the pool of connections that can only read.
func (d *DB) Reader() *sql.DB { return d.r }

// Write runs f in a transaction that holds the write lock from its start and is
// on the disk when Write returns nil. If f or the commit returns an error
// nothing is kept. f is called once.
func (d *DB) Write(ctx context.Context, f func(*sql.Tx) error) error {
	if d.w == nil {
		return fmt.Errorf("%w: %s was opened to look at", ErrReadOnly, filepath.Base(d.path))
	}
	tx, err := d.w.BeginTx(ctx, nil)
	if err != nil {
		return Classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return Classify(err)
	}
	return Classify(tx.Commit())
}

// Join runs f in a transaction as [DB.Write] does, with another database of the
// same schema attached: its tables are called other.asrun and so on. f cannot
// write to that one.
func (d *DB) Join(ctx context.Context, path string, f func(*sql.Tx) error) (err error) {
	if d.w == nil {
		return fmt.Errorf("%w: %s was opened to look at", ErrReadOnly, filepath.Base(d.path))
	}
	conn, err := d.w.Conn(ctx)
	if err != nil {
		return Classify(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "ATTACH DATABASE ? AS other", dsn(path, "mode=ro")); err != nil {
		return Classify(err)
	}
	defer func() {
		_, detached := conn.ExecContext(context.WithoutCancel(ctx), "DETACH DATABASE other")
		err = errors.Join(err, Classify(detached))
	}()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return Classify(err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return Classify(err)
	}
	return Classify(tx.Commit())
}

// Checkpoint moves what it can from the write-ahead log into the database
// without waiting for readers. The log is then written from its start again
// instead of growing.
func (d *DB) Checkpoint(ctx context.Context) error {
	if d.w == nil {
		return nil
	}
	return Classify(drain(ctx, d.w, "PRAGMA wal_checkpoint(PASSIVE)"))
}

// Version returns the number of the last migration run.
func (d *DB) Version(ctx context.Context) (int, error) { return version(ctx, d.r) }

func version(ctx context.Context, db *sql.DB) (v int, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v)
	return v, err
}

// Size returns the size of the database in bytes, including its write-ahead
// log.
func (d *DB) Size() (int64, error) {
	fi, err := os.Stat(d.path)
	if err != nil {
		return 0, err
	}
	size := fi.Size()
	fi, err = os.Stat(d.path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return size, nil
	}
	if err != nil {
		return 0, err
	}
	return size + fi.Size(), nil
}

// Check reads every page and returns [ErrDamaged] if they contradict one
// another. It takes some 1.6 s a gigabyte on a PC with the file in memory, and
// elsewhere as long as reading the file takes.
func (d *DB) Check(ctx context.Context) error {
	db := d.r
	if db == nil {
		db = d.w
	}
	return check(ctx, db)
}

func check(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA quick_check(5)")
	if err != nil {
		return Classify(err)
	}
	defer func() { _ = rows.Close() }()
	var found []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return Classify(err)
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	if err := rows.Err(); err != nil {
		return Classify(err)
	}
	if len(found) > 0 {
		return fmt.Errorf("%w: %s", ErrDamaged, strings.Join(found, "; "))
	}
	return nil
}

// CheckFile checks a database that no program has open, such as a backup,
// without changing it or leaving files beside it.
func CheckFile(ctx context.Context, path string) error {
	if fi, err := os.Stat(path); err != nil {
		return err
	} else if fi.Size() == 0 {
		return fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	db, err := sql.Open("sqlite3", dsn(path, "mode=ro&immutable=1&_query_only=on"))
	if err != nil {
		return err
	}
	return errors.Join(check(ctx, db), db.Close())
}

// probe reads the first and the last row of every table: that finds damage
// there, in the schema or in the upper pages of a table.
func (d *DB) probe(ctx context.Context) error {
	var tables []string
	rows, err := d.w.QueryContext(ctx, `SELECT name FROM pragma_table_list
		WHERE schema = 'main' AND type = 'table' AND NOT wr`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return err
		}
		tables = append(tables, t)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, t := range tables {
		quoted := `"` + strings.ReplaceAll(t, `"`, `""`) + `"`
		for _, way := range []string{"ASC", "DESC"} {
			if err := drain(ctx, d.w, "SELECT * FROM "+quoted+" ORDER BY rowid "+way+" LIMIT 1"); err != nil {
				return err
			}
		}
	}
	return nil
}

func drain(ctx context.Context, db *sql.DB, query string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}

// Backup writes a complete copy of the database as it is now to path, while
// others read and write. The copy gets its name only when it is on the disk; it
// is one file, without a write-ahead log.
func (d *DB) Backup(ctx context.Context, path string) error {
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	touch(tmp)
	// Neither pool can be used: the readers may not write anything, not even a
	// copy, and the writer must stay free for airings.
	db, err := sql.Open("sqlite3", dsn(d.path, d.readParams))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", tmp)
	if err = errors.Join(Classify(err), db.Close()); err == nil {
		err = CheckFile(ctx, tmp)
	}
	if err == nil {
		err = Keep(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

// Keep renames the finished file tmp to path, so that after a power cut either
// all of it is there or nothing.
func Keep(tmp, path string) error {
	if err := syncFile(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes changes to the names in a directory durable.
func SyncDir(dir string) error { return syncFile(dir) }

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Classify wraps an error of SQLite or of the system in [ErrDamaged],
// [ErrFull], [ErrReadOnly], [ErrInUse] or [ErrDisk], if it is one of those.
func Classify(err error) error {
	if err == nil || errors.Is(err, ErrDamaged) || errors.Is(err, ErrFull) || errors.Is(err, ErrReadOnly) || errors.Is(err, ErrDisk) || errors.Is(err, ErrInUse) {
		return err
	}
	var e sqlite3.Error
	if errors.As(err, &e) {
		switch e.Code {
		case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		case sqlite3.ErrFull:
			return fmt.Errorf("%w: %w", ErrFull, err)
		case sqlite3.ErrReadonly:
			return fmt.Errorf("%w: %w", ErrReadOnly, err)
		case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrProtocol:
			return fmt.Errorf("%w: %w", ErrInUse, err)
		}
		if e.SystemErrno == syscall.EROFS {
			return fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		if noRoom(e.SystemErrno) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
		if e.Code == sqlite3.ErrIoErr || e.Code == sqlite3.ErrCantOpen {
			return fmt.Errorf("%w: %w", ErrDisk, err)
		}
	}
	switch {
	case noRoom(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, syscall.EIO):
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	return err
}

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
