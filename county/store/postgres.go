package store

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sys/unix"

	"dalaba/data/sqlite"
)

//go:embed migrations/postgres/*.sql
var postgresFiles embed.FS

var errNoBackup = errors.New("a PostgreSQL store is backed up by pg_dump")

type postgresDB struct{ db *sql.DB }

// writerLock is held by the one process that writes. What a process reads
// before it writes, as the sums are, no other changes meanwhile; and since it
// is taken before anything else, no two can wait for each other.
const writerLock = 7316022

// mostIdle is how long a process may hold up the others in the midst of a
// transaction, without a word to the server; then what it wrote is undone. An
// operator's URL may say otherwise.
const (
	mostIdle    = "10s"
	idleTimeout = "idle_in_transaction_session_timeout"
)

func openPostgres(ctx context.Context, url string) (_ backend, err error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	// An acknowledged receipt must survive the server's power cut, whatever the
	// server's default is.
	cfg.RuntimeParams["synchronous_commit"] = "on"
	cfg.RuntimeParams["timezone"] = "UTC"
	if _, set := cfg.RuntimeParams[idleTimeout]; !set {
		cfg.RuntimeParams[idleTimeout] = mostIdle
	}
	cfg.DialFunc = (&net.Dialer{Timeout: cmp.Or(cfg.ConnectTimeout, mostSilent), Control: notForLong}).DialContext
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(12)
	db.SetMaxIdleConns(12)
	p := postgresDB{db}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	return p, p.migrate(ctx)
}

// mostSilent is how long a server may leave what we send unacknowledged before
// it counts as gone. The system would wait for a quarter of an hour.
const mostSilent = 20 * time.Second

// notForLong has a socket give up a server that is cut off.
func notForLong(network, _ string, c syscall.RawConn) (err error) {
	if strings.HasPrefix(network, "unix") {
		return nil
	}
	refused := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(mostSilent.Milliseconds()))
	})
	return errors.Join(refused, err)
}

func (p postgresDB) migrate(ctx context.Context) error {
	files := sub(postgresFiles, "migrations/postgres")
	all, err := sqlite.Migrations(files)
	if err != nil {
		return err
	}
	return p.write(ctx, func(tx *sql.Tx) error {
		// A program that does not know of "added" opens a database that has more.
		for _, table := range []string{"migration", "added"} {
			if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+table+" (number BIGINT NOT NULL PRIMARY KEY)"); err != nil {
				return err
			}
		}
		var at int
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) FROM migration").Scan(&at); err != nil {
			return err
		}
		if at > len(all) {
			return fmt.Errorf("%w: it is at %d, this program knows up to %d", sqlite.ErrNewer, at, len(all))
		}
		for _, m := range all {
			var there bool
			if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM added WHERE number = $1)", m.Number).Scan(&there); err != nil {
				return err
			}
			if there || m.Number <= at {
				continue
			}
			for _, statement := range statements(m.Text) {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return fmt.Errorf("migration %s: %w", m.Name, err)
				}
			}
			table := "migration"
			if m.Adds {
				table = "added"
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (number) VALUES ($1)", m.Number); err != nil {
				return err
			}
		}
		return nil
	})
}

// statements splits a migration at the semicolons that end its lines.
func statements(text string) []string {
	var all []string
	for s := range strings.SplitSeq(text, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

func (p postgresDB) reader() *sql.DB { return p.db }
func (p postgresDB) close() error    { return p.db.Close() }

func (p postgresDB) write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", writerLock); err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
