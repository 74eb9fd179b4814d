package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dalaba/data/clips"
	"dalaba/data/sqlite"
	"dalaba/playlist"
)

var (
	// ErrNotFound says that there is nothing of that name.
	ErrNotFound = errors.New("not found")

	// ErrConflict says that the name, version or code is taken.
	ErrConflict = errors.New("already there")

	// ErrStale says that another writer was first.
	ErrStale = errors.New("overtaken")

	// ErrUsedUp says that no higher version of a document may be issued.
	ErrUsedUp = errors.New("versions used up")

	// ErrNewer says that a later dalaba-county made the store.
	ErrNewer = sqlite.ErrNewer

	// ErrDamaged says that the database contradicts itself and that no backup
	// can take its place.
	ErrDamaged = sqlite.ErrDamaged

	// ErrInUse says that another program holds locks on an SQLite database.
	ErrInUse = sqlite.ErrInUse

	// ErrFull says that the disk is full; nothing of the write was kept.
	ErrFull = sqlite.ErrFull
)

// Options of [Open]. Dir and Log must be given.
type Options struct {
	Dir  string         // clip files; the SQLite database too
	URL  string         // "postgres://..."; empty: SQLite in Dir
	Zone *time.Location // in which days are counted; default UTC
	Log  *slog.Logger
	Now  func() time.Time // default time.Now

	// OnDamage is called at most once, from another goroutine, when damage is
	// found in an SQLite database while it is open. The next Open puts it right,
	// so the caller should end soon and be started again. It must not call
	// Close.
	OnDamage func(error)
}

// Store is a county's memory.
type Store struct {
	back  backend
	pg    bool
	dir   string
	clips clips.Folder
	zone  *time.Location
	log   *slog.Logger
	now   func() time.Time

	damaged  sync.Once
	onDamage func(error)
	unwatch  context.CancelFunc // ends the check in the background

	jobs chan *job
	done chan struct{}
	stop sync.Once
	wait sync.WaitGroup

	names names

	unreadable sync.Map     // alerts that are damaged, once it was logged
	unkept     atomic.Int64 // messages of which no bytes were kept, since the start
}

// backend is the database behind a store.
type backend interface {
	reader() *sql.DB
	write(ctx context.Context, f func(*sql.Tx) error) error
	close() error
}

// Open opens the store, making it if it is absent, and brings an older one
// forward.
//
// An SQLite database that is damaged, or missing while there are backups of
// it, is set aside as county.db.damaged-<time>, and the newest backup without
// a fault takes its place. That is logged as an error and kept: see
// [Store.Losses]. If no backup is good, nothing is touched and the error is
// [ErrDamaged]. No other process may have the store open. Every page of a
// database of up to 256 MiB is checked before Open returns; of a larger one
// only both ends of each table, and the rest in the background.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	s := &Store{
		pg: o.URL != "", dir: o.Dir, clips: clips.Folder(filepath.Join(o.Dir, "clips")), zone: o.Zone, log: o.Log, now: o.Now,
		jobs: make(chan *job), done: make(chan struct{}), onDamage: o.OnDamage, unwatch: func() {},
	}
	s.names.reset()
	if err := os.MkdirAll(string(s.clips), 0o700); err != nil {
		return nil, err
	}
	var (
		loss *Loss
		err  error
	)
	if s.pg {
		s.back, err = openPostgres(ctx, o.URL)
	} else {
		loss, err = s.openSQLite(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.wait.Go(s.writer)
	for _, fill := range []func(context.Context) error{s.fillDays, s.fillEarshots, s.fillKeys, s.mergeTwins} {
		if err := fill(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if loss != nil {
		if err := s.lose(ctx, *loss); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.log.Error("store was damaged or missing; what was recorded since the backup is lost, save what controllers bring back",
			"why", loss.Why, "aside", loss.Aside, "backup", loss.Backup, "made", loss.Kept)
	}
	if b, ok := s.back.(sqliteDB); ok && !b.db.Checked() {
		background, stop := context.WithCancel(context.WithoutCancel(ctx))
		s.unwatch = stop
		s.wait.Go(func() { s.check(background, b.db) })
	}
	return s, nil
}

// Close waits for the writes under way and closes the database.
func (s *Store) Close() error {
	s.stop.Do(func() { close(s.done) })
	s.unwatch()
	s.wait.Wait()
	return s.back.close()
}

// Kind is "sqlite" or "postgres".
func (s *Store) Kind() string {
	if s.pg {
		return "postgres"
	}
	return "sqlite"
}

// errClosed is the error of writes that come after Close.
var errClosed = errors.New("the store is closed")

// job is one caller's part of a transaction.
type job struct {
	ctx  context.Context
	f    func(context.Context, conn) error
	err  error
	done chan struct{}
}

// mostJobs is how many callers may share a commit: enough to make the disk's
// pace no matter, few enough that none waits long.
const mostJobs = 128

// write runs f in a transaction that it may share with others; what f did is
// on the disk when write returns nil, and undone when f returns an error. The
// context that f is given outlives ctx: one caller's impatience must not undo
// what the others write.
func (s *Store) write(ctx context.Context, f func(context.Context, conn) error) error {
	j := &job{ctx: ctx, f: f, done: make(chan struct{})}
	select {
	case s.jobs <- j:
	case <-s.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	<-j.done // the writer always closes it
	return j.err
}

// writer runs all jobs, many in a transaction.
func (s *Store) writer() {
	for {
		var batch []*job
		select {
		case <-s.done:
			return
		case j := <-s.jobs:
			batch = append(batch, j)
		}
	gather:
		for len(batch) < mostJobs {
			select {
			case j := <-s.jobs:
				batch = append(batch, j)
			default:
				break gather
			}
		}
		s.commit(batch)
		for _, j := range batch {
			close(j.done)
		}
	}
}

func (s *Store) commit(batch []*job) {
	ctx := context.WithoutCancel(batch[0].ctx)
	err := s.back.write(ctx, func(tx *sql.Tx) error {
		c := conn{tx, s.pg}
		if len(batch) == 1 {
			batch[0].err = batch[0].run(c)
			return batch[0].err
		}
		for _, j := range batch {
			if _, err := tx.ExecContext(ctx, "SAVEPOINT job"); err != nil {
				return err
			}
			end := "RELEASE job"
			if j.err = j.run(c); j.err != nil {
				end = "ROLLBACK TO job"
				s.names.reset() // some may be of rows that are gone
			}
			if _, err := tx.ExecContext(ctx, end); err != nil {
				return err // the transaction is broken, not only this job
			}
		}
		return nil
	})
	if err == nil {
		return
	}
	if errors.Is(err, sqlite.ErrDamaged) {
		s.foundDamage(err)
	}
	s.names.reset()
	for _, j := range batch {
		if j.err == nil {
			j.err = err
		}
	}
}

func (j *job) run(c conn) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	return j.f(context.WithoutCancel(j.ctx), c)
}

// read is the database for reading only.
func (s *Store) read() conn { return conn{s.back.reader(), s.pg} }

// querier is a transaction or a pool.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// conn takes SQL whose arguments are written ?1, ?2 and so on, in either
// dialect.
type conn struct {
	q  querier
	pg bool
}

func (c conn) sql(query string) string {
	if c.pg {
		return strings.ReplaceAll(query, "?", "$")
	}
	return query
}

func (c conn) exec(ctx context.Context, query string, args ...any) error {
	_, err := c.q.ExecContext(ctx, c.sql(query), args...)
	return err
}

// change is exec that returns how many rows it touched.
func (c conn) change(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := c.q.ExecContext(ctx, c.sql(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c conn) row(ctx context.Context, query string, args ...any) *sql.Row {
	return c.q.QueryRowContext(ctx, c.sql(query), args...)
}

// each calls f with every row of the result.
func (c conn) each(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error {
	rows, err := c.q.QueryContext(ctx, c.sql(query), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// micros is an instant as the store keeps it; NULL for the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func instant(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return time.UnixMicro(us.Int64).UTC()
}

// clean takes out what PostgreSQL cannot hold.
func clean(s string) string {
	if !strings.ContainsRune(s, 0) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// found turns "no rows" into [ErrNotFound].
func found(err error, what string, name any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %s %v", ErrNotFound, what, name)
	}
	return err
}

// Day is the day in which an instant falls, counted in the store's zone.
func (s *Store) Day(t time.Time) int64 {
	y, m, d := t.In(s.zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// DayDate is the date of a day.
func DayDate(day int64) playlist.Date {
	return playlist.Date(time.Unix(day*86400, 0).UTC().Format(time.DateOnly))
}

func sub(f fs.FS, dir string) fs.FS {
	g, err := fs.Sub(f, dir)
	if err != nil {
		panic(err)
	}
	return g
}

// Setting is a small fact by name; empty if it was never set.
func (s *Store) Setting(ctx context.Context, key string) (string, error) {
	var v string
	err := s.read().row(ctx, "SELECT value FROM setting WHERE key = ?1", key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, err
}

// SetSetting keeps a small fact.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	return s.write(ctx, func(ctx context.Context, c conn) error { return setSetting(ctx, c, key, value) })
}

func setSetting(ctx context.Context, c conn, key, value string) error {
	return c.exec(ctx, `INSERT INTO setting (key, value) VALUES (?1, ?2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, clean(value))
}

// Ping reports whether the store can be read and written.
func (s *Store) Ping(ctx context.Context) error {
	return s.SetSetting(ctx, "ping", s.now().UTC().Format(time.RFC3339))
}

// raise keeps a number by name, unless a higher one is there.
func raise(ctx context.Context, c conn, key string, n int64) error {
	return c.exec(ctx, `INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE
		SET value = excluded.value WHERE CAST(setting.value AS BIGINT) < CAST(excluded.value AS BIGINT)`, key, fmt.Sprint(n))
}
