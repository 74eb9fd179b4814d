package data

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"dalaba/data/clips"
	"dalaba/data/sqlite"
	"dalaba/playlist/say"
)

var (
	// ErrNotFound says that there is no such row or clip.
	ErrNotFound = errors.New("not found")

	// ErrNewer says that a later version of dalaba made the store; nothing was
	// changed.
	ErrNewer = sqlite.ErrNewer

	// ErrDamaged says that the database is damaged and could not be repaired
	// now, because another program holds the store.
	ErrDamaged = sqlite.ErrDamaged

	// ErrFull says that the disk is full and no ballast was left. What was
	// stored before can be read.
	ErrFull = sqlite.ErrFull

	// ErrReadOnly says that the disk is read-only, or that the store was opened
	// read-only. See [OpenVolatile].
	ErrReadOnly = sqlite.ErrReadOnly

	// ErrInUse says that another program holds locks on the database.
	ErrInUse = sqlite.ErrInUse

	// ErrNoStore says that there is no store to read yet.
	ErrNoStore = errors.New("no store")
)

// fault is an error with a text for the operator and a sentinel for the caller.
type fault struct {
	is  error
	msg say.Message
}

func (f fault) Error() string        { return f.msg.Error() }
func (f fault) Unwrap() error        { return f.msg }
func (f fault) Is(target error) bool { return errors.Is(f.is, target) }

//go:embed migrations/controller/*.sql
var migrationFiles embed.FS

func migrations() fs.FS {
	f, err := fs.Sub(migrationFiles, "migrations/controller")
	if err != nil {
		panic(err)
	}
	return f
}

// fullCheckUpTo is the size up to which [Open] checks every page before it
// returns: some 110,000 as-run rows, years of a usual controller's. A million
// rows with their receipts are 284 MiB; quick_check took 0.44 s for them on a
// PC that held them in memory, and takes as long as reading the disk elsewhere:
// 15 s from a memory card. Without the check such a store opens in 2 ms.
const fullCheckUpTo = 32 << 20

// checkedEvery is how old the record of the last check may be while starts repeat it.
const checkedEvery = time.Hour

// Options of [Open]. Log must be given; all else has a default.
type Options struct {
	Log  *slog.Logger
	Boot string           // boot ID of the machine, kept with each event
	Now  func() time.Time // default time.Now

	// Mono is the time since the machine booted, suspension included. Default
	// CLOCK_BOOTTIME.
	Mono func() time.Duration

	// Lock is the result of [Lock], if the caller holds the store.
	Lock *Held

	// Spare lets the store continue in memory if its disk fails while it is
	// open, and write what was recorded meanwhile to the disk once that can be
	// written again; see [OpenVolatile]. It is for the daemon, which must hold
	// the lock.
	Spare bool

	// OnDamage is called at most once, from another goroutine, when damage is
	// found while the store is open. The next Open repairs it, so the caller
	// should end soon and be started again. It must not call Close.
	OnDamage func(error)

	// Why is, for [OpenVolatile], why the store on the disk does not open.
	Why error
}

func (o Options) filled() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Mono == nil {
		o.Mono = sinceBoot
	}
	return o
}

// Store is a controller's database and clip folder.
type Store struct {
	dir   string
	clips clips.Folder
	cur   atomic.Pointer[sqlite.DB] // the database that is read and written now
	log   *slog.Logger              // writes to the device log as well
	raw   *slog.Logger              // does not write to the device log
	now   func() time.Time
	o     Options

	events *events

	dbLock   sync.RWMutex // read lock: to write; write lock: to switch to another database
	onDisk   *sqlite.DB   // the database on the disk, while cur is in memory; nil if it cannot be opened
	spare    string       // the folder of the database in memory; empty: cur is on the disk
	why      error        // why it is in memory; nil: it is not
	readOnly bool         // opened by OpenReadOnly
	lost     *Loss        // found, but not recorded in a database yet

	stop    context.CancelFunc
	wait    sync.WaitGroup
	closing sync.WaitGroup // databases that were switched from and are not closed yet
	damaged sync.Once
}

func (s *Store) db() *sqlite.DB { return s.cur.Load() }

func file(dir string) string       { return filepath.Join(dir, "dalaba.db") }
func clipDir(dir string) string    { return filepath.Join(dir, "clips") }
func backupDir(dir string) string  { return filepath.Join(dir, "backup") }
func suspectFile(d string) string  { return filepath.Join(d, "dalaba.db.suspect") }
func ballastFile(d string) string  { return filepath.Join(d, "ballast") }
func lockFileName(d string) string { return filepath.Join(d, "dalaba.lock") }

// Open opens the store in dir, makes both if they do not exist, and runs the
// migrations that an older store lacks.
//
// If the database is damaged, or is missing while there are backups of it, it
// is set aside as dalaba.db.damaged-<time> and replaced by the newest good
// backup, or by an empty store if there is none. The loss is logged as an error
// and recorded: see [Store.Losses]. A new or restored store begins a new epoch
// of receipts. Repair needs the lock: if another program holds it and o.Lock is
// nil, Open returns [ErrDamaged].
//
// Open checks every page of a database of up to 32 MiB before it returns; of a
// larger one it checks only both ends of each table, and the rest in the
// background.
//
// Other errors are [ErrNewer] and [ErrFull], or the system's.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	o = o.filled()
	if o.Lock == nil && Hidden(dir) { // not a daemon, whose user may be to own the folder
		return nil, explain(dir, fs.ErrPermission)
	}
	if err := makeFolders(dir); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, clips: clips.Folder(clipDir(dir)), now: o.Now, o: o, raw: o.Log}
	db, loss, err := s.openOrRepair(ctx)
	if errors.Is(err, sqlite.ErrFull) && os.Remove(ballastFile(dir)) == nil {
		s.raw.Error("disk full: ballast file deleted", "path", ballastFile(dir))
		db, loss, err = s.openOrRepair(ctx)
	}
	if err != nil {
		return nil, explain(dir, err)
	}
	s.cur.Store(db)
	s.startEvents()
	if o.Lock != nil {
		s.adopt(ctx)
	}
	s.logLoss(loss)
	s.makeBallast()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if !db.Checked() {
		s.wait.Go(func() { s.check(background) })
	}
	if o.Spare {
		s.wait.Go(func() { s.watch(background) })
	}
	return s, nil
}

// OpenReadOnly opens the store in dir for reading, whether or not the daemon
// runs, and changes nothing. If a daemon's store is in memory, that one is
// opened. Methods that write return an error. Errors are [ErrNoStore],
// [ErrNewer], [ErrDamaged] or the system's.
func OpenReadOnly(ctx context.Context, dir string) (*Store, error) {
	quiet := slog.New(slog.DiscardHandler)
	s := &Store{dir: dir, clips: clips.Folder(clipDir(dir)), log: quiet, raw: quiet, now: time.Now, readOnly: true, stop: func() {}}
	if spare, ok := spareOf(dir); ok {
		if _, running := Running(dir); running {
			if db, err := sqlite.OpenReadOnly(ctx, file(spare), migrations()); err == nil {
				s.cur.Store(db)
				s.spare = spare
				return s, nil
			}
		}
	}
	db, err := sqlite.OpenReadOnly(ctx, file(dir), migrations())
	if err != nil {
		return nil, explain(dir, err)
	}
	s.cur.Store(db)
	return s, nil
}

// explain gives an error that a person can act on a text for the operator.
func explain(dir string, err error) error {
	switch {
	case errors.Is(err, sqlite.ErrNewer):
		return fault{ErrNewer, say.M("store.newer", dir)}
	case errors.Is(err, sqlite.ErrOlder):
		return fault{sqlite.ErrOlder, say.M("store.older", dir)}
	case errors.Is(err, sqlite.ErrDamaged):
		return fault{errors.Join(ErrDamaged, err), say.M("store.damaged", dir, err.Error())}
	case errors.Is(err, sqlite.ErrFull):
		return fault{errors.Join(ErrFull, err), say.M("store.full", dir)}
	case errors.Is(err, sqlite.ErrReadOnly):
		return fault{errors.Join(ErrReadOnly, err), say.M("store.read_only", dir)}
	case errors.Is(err, sqlite.ErrInUse):
		return fault{errors.Join(ErrInUse, err), say.M("store.in_use", absolute(dir))}
	case errors.Is(err, fs.ErrPermission):
		return fault{err, say.M("store.permission", dir)}
	case errors.Is(err, fs.ErrNotExist):
		return fault{errors.Join(ErrNoStore, err), say.M("store.none", dir)}
	}
	return err
}

// makeFolders makes those of a store's folders that do not exist, and returns
// a [BadFolder] if one cannot be written.
func makeFolders(dir string) error {
	for _, d := range []string{dir, clipDir(dir), backupDir(dir)} {
		if err := makeFolder(d); err != nil {
			return err
		}
		if err := CheckFolder(d, Me()); err != nil { // SQLite would not give the reason
			return err
		}
	}
	return nil
}

// openOrRepair opens the database, restores it if it is damaged or missing, and
// writes its first row. It returns the loss, or nil if there was none.
func (s *Store) openOrRepair(ctx context.Context) (*sqlite.DB, *Loss, error) {
	db, err := s.openDB(ctx)
	if errors.Is(err, sqlite.ErrDamaged) || errors.Is(err, errVanished) {
		db, err = s.repair(ctx, err)
	}
	if err != nil {
		return nil, nil, err
	}
	if db.Checked() {
		s.clearSuspect(s.dir)
	}
	if err := s.begin(ctx, db, s.lost); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	loss := s.lost
	s.lost = nil
	return db, loss, nil
}

// errVanished says that there are backups but no database.
var errVanished = errors.New("the database is missing though there are backups of it")

func (s *Store) openDB(ctx context.Context) (*sqlite.DB, error) {
	if fi, err := os.Stat(file(s.dir)); errors.Is(err, fs.ErrNotExist) || err == nil && fi.Size() == 0 {
		if all, err := backups(s.dir).All(); err != nil || len(all) > 0 {
			return nil, errors.Join(errVanished, err)
		}
	}
	o := sqlite.Options{CheckUpTo: fullCheckUpTo, Damaged: s.foundDamage}
	if _, err := os.Stat(suspectFile(s.dir)); err == nil {
		o.CheckUpTo = 0
	}
	return sqlite.Open(ctx, file(s.dir), migrations(), o)
}

// begin writes the one row that every store has, or starts a new epoch after a
// loss.
func (s *Store) begin(ctx context.Context, db *sqlite.DB, loss *Loss) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		var rows int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM store").Scan(&rows); err != nil {
			return err
		}
		if rows == 0 || loss != nil {
			if err := newEpoch(ctx, tx, s.now()); err != nil {
				return err
			}
		}
		if db.Checked() {
			// To the hour: a daemon that fails to start is started every few seconds,
			// and is not to wear the disk.
			now := s.now()
			if _, err := tx.ExecContext(ctx, "UPDATE store SET checked = ?1 WHERE checked IS NULL OR checked NOT BETWEEN ?2 AND ?1",
				micros(now), micros(now.Add(-checkedEvery))); err != nil {
				return err
			}
		}
		if loss == nil {
			return nil
		}
		var newest sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT max(due) FROM asrun").Scan(&newest); err != nil {
			return err
		}
		loss.Newest = instant(newest)
		return noteLoss(ctx, tx, *loss)
	})
}

// addEpoch adds an epoch with a name that no store has, and returns its number.
func addEpoch(ctx context.Context, tx *sql.Tx, now time.Time) (id int64, err error) {
	name := make([]byte, 8)
	_, _ = rand.Read(name) // it never fails
	err = tx.QueryRowContext(ctx, "INSERT INTO epoch (name, made) VALUES (?, ?) RETURNING id",
		hex.EncodeToString(name), micros(now)).Scan(&id)
	return id, err
}

// newEpoch begins another epoch.
func newEpoch(ctx context.Context, tx *sql.Tx, now time.Time) error {
	id, err := addEpoch(ctx, tx, now)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO store (one, epoch) VALUES (1, ?)
		ON CONFLICT DO UPDATE SET epoch = excluded.epoch, seq = 0`, id)
	return err
}

// write runs f in a transaction. If the disk cannot be written and the store
// may continue in memory, it runs f there.
func (s *Store) write(ctx context.Context, f func(*sql.Tx) error) error {
	s.dbLock.RLock()
	db, spare := s.db(), s.spare != ""
	err := s.writeTo(ctx, db, spare, f)
	s.dbLock.RUnlock()
	if s.o.Spare && !spare && isDiskFault(err) && s.switchToMemory(ctx, db, err) {
		s.dbLock.RLock()
		err = s.db().Write(ctx, f)
		s.dbLock.RUnlock()
	}
	if errors.Is(err, sqlite.ErrDamaged) {
		s.foundDamage(err)
	}
	return err
}

// writeTo runs f. If the disk is full it shrinks the write-ahead log and runs f
// again, and then once more without the ballast.
func (s *Store) writeTo(ctx context.Context, db *sqlite.DB, spare bool, f func(*sql.Tx) error) error {
	err := db.Write(ctx, f)
	if spare {
		return err
	}
	if errors.Is(err, sqlite.ErrFull) && db.Checkpoint(ctx) == nil {
		err = db.Write(ctx, f)
	}
	if errors.Is(err, sqlite.ErrFull) && os.Remove(ballastFile(s.dir)) == nil {
		s.log.Error("disk full: ballast file deleted", "path", ballastFile(s.dir))
		if err = db.Checkpoint(ctx); err == nil {
			err = db.Write(ctx, f)
		}
	}
	return err
}

// isDiskFault reports whether an error comes from the disk, not from the
// database.
func isDiskFault(err error) bool {
	return errors.Is(err, sqlite.ErrFull) || errors.Is(err, sqlite.ErrReadOnly) || errors.Is(err, sqlite.ErrDisk)
}

// foundDamage marks the database as damaged for the next Open and tells the
// owner.
func (s *Store) foundDamage(err error) {
	if s.readOnly {
		return
	}
	s.damaged.Do(func() {
		s.raw.Error("store is damaged", "err", err)
		if werr := KeepFile(suspectFile(s.dir), []byte(err.Error()+"\n")); werr != nil {
			s.raw.Error("store damage could not be marked", "err", werr)
		}
		if s.o.OnDamage != nil {
			s.wait.Go(func() { s.o.OnDamage(err) })
		}
	})
}

// clearSuspect removes the mark of a damaged database, after every page was
// checked or another database took its place. The removal survives a power cut.
func (s *Store) clearSuspect(dir string) {
	err := os.Remove(suspectFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = sqlite.SyncDir(dir)
	}
	if err != nil {
		s.raw.Warn("store damage mark not removed", "err", err) // the next start checks again
	}
}

// KeepFile writes or replaces a file for its owner alone, so that a power cut at any
// moment leaves either all of the old one or all of the new one, and the new one once
// it has returned.
func KeepFile(path string, text []byte) error {
	tmp := path + ".tmp"
	err := os.Remove(tmp) // left behind by a power cut, with whatever mode
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(tmp, text, privateFile)
	}
	if err == nil {
		err = sqlite.Keep(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return sqlite.Classify(err)
}

// check reads every page and records when.
func (s *Store) check(ctx context.Context) {
	err := s.db().Check(ctx)
	switch {
	case errors.Is(err, sqlite.ErrDamaged):
		s.foundDamage(err)
	case err != nil:
		if ctx.Err() == nil {
			s.log.Warn("store could not be checked", "err", err)
		}
	default:
		err := s.db().Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE store SET checked = ?", micros(s.now()))
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.log.Warn("store check could not be noted", "err", err)
		}
	}
}

// Close writes the remaining device log, waits for all that Open started, and
// closes the database. What a store in memory could not write to the disk stays
// in memory for the next store, until the machine is switched off.
func (s *Store) Close() error {
	s.stop()
	s.stopEvents()
	s.wait.Wait()
	if s.spare != "" && !s.readOnly {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := s.returnToDisk(ctx); err != nil {
			s.raw.Error("store cannot be written: records are in memory only", "path", s.spare, "err", err)
		}
	}
	s.closing.Wait()
	err := s.db().Close()
	if s.onDisk != nil {
		err = errors.Join(err, s.onDisk.Close())
	}
	return err
}

// Dir returns the folder in which the store was opened.
func (s *Store) Dir() string { return filepath.Dir(string(s.clips)) }

func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
