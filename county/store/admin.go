package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
)

// ErrDenied says that a name and password, or a token, are wrong.
var ErrDenied = errors.New("denied")

// cost is what a password takes to hash; memory is in KiB.
type cost struct {
	time, memory uint32
	threads      uint8
}

// fullCost is 64 MiB for a few tens of milliseconds.
var fullCost = cost{time: 2, memory: 64 << 10, threads: 2}

// passwordCost is the cost of passwords that are set.
var passwordCost = fullCost

func hashPassword(password string, salt []byte, c cost) string {
	sum := argon2.IDKey([]byte(password), salt, c.time, c.memory, c.threads, 32)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("argon2id$%d$%d$%d$%s$%s", c.time, c.memory, c.threads, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// checkPassword reports whether a password is the one that was hashed.
func checkPassword(hash, password string) bool {
	var (
		c         cost
		salt, sum string
	)
	if _, err := fmt.Sscanf(strings.ReplaceAll(hash, "$", " "), "argon2id %d %d %d %s %s", &c.time, &c.memory, &c.threads, &salt, &sum); err != nil {
		return false
	}
	raw, err := base64.RawStdEncoding.DecodeString(salt)
	if err != nil {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(hash), []byte(hashPassword(password, raw, c))) == 1
}

// SetAdmin gives an administrator a password, making the account if there is
// none, and ends its sessions.
func (s *Store) SetAdmin(ctx context.Context, name, password string) error {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // it never fails
	hash := hashPassword(password, salt, passwordCost)
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		err := tx.exec(ctx, `INSERT INTO admin (name, hash, changed) VALUES (?1, ?2, ?3)
			ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, changed = excluded.changed`, clean(name), hash, s.now().UnixMicro())
		if err != nil {
			return err
		}
		return tx.exec(ctx, "DELETE FROM session WHERE admin = ?1", clean(name))
	})
}

// noAdmin is compared if there is no administrator of that name, so that the
// refusal takes as long.
var noAdmin = sync.OnceValue(func() string {
	return hashPassword("", []byte("0123456789abcdef"), passwordCost)
})

// A session ends by itself if it is not used for SessionIdle, whatever its expiry. An
// administrator has MostSessions at most: one more ends the oldest.
const (
	SessionIdle  = 2 * time.Hour
	MostSessions = 8

	usedEvery  = 5 * time.Minute // how often the store notes that a session is used
	noteWithin = 2 * time.Second
)

// Login opens a session: a token that is good until expires. A wrong name or
// password is [ErrDenied].
func (s *Store) Login(ctx context.Context, name, password string, expires time.Time) (token string, err error) {
	hash, err := s.checkLogin(ctx, name, password)
	if err != nil {
		return "", err
	}
	return s.openSession(ctx, name, hash, expires)
}

// checkLogin returns what the store keeps of an administrator's password, if this is the
// password.
func (s *Store) checkLogin(ctx context.Context, name, password string) (hash string, err error) {
	hash = noAdmin()
	err = s.read().row(ctx, "SELECT hash FROM admin WHERE name = ?1", name).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	if !checkPassword(hash, password) || err != nil {
		return "", ErrDenied
	}
	return hash, nil
}

// openSession opens a session for an administrator whose password is still the one of the
// hash: a change has ended all sessions.
func (s *Store) openSession(ctx context.Context, name, hash string, expires time.Time) (token string, err error) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails
	token = fmt.Sprintf("%x", raw)
	return token, s.write(ctx, func(ctx context.Context, tx conn) error {
		if _, err := s.pruneSessions(ctx, tx); err != nil {
			return err
		}
		n, err := tx.change(ctx, `INSERT INTO session (hash, admin, expires, used)
			SELECT ?1, name, ?3, ?4 FROM admin WHERE name = ?2 AND hash = ?5`, hashOf(token), name, expires.UnixMicro(), s.now().UnixMicro(), hash)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrDenied
		}
		return tx.exec(ctx, `DELETE FROM session WHERE admin = ?1 AND hash <> ?2 AND hash NOT IN
			(SELECT hash FROM session WHERE admin = ?1 AND hash <> ?2 ORDER BY expires DESC LIMIT ?3)`, name, hashOf(token), MostSessions-1)
	})
}

// Session returns the administrator who opened the session of a token, or
// [ErrDenied] if there is none or it has ended.
func (s *Store) Session(ctx context.Context, token string) (admin string, err error) {
	now := s.now()
	var used sql.NullInt64
	err = s.read().row(ctx, `SELECT session.admin, session.used FROM session JOIN admin ON admin.name = session.admin
		WHERE session.hash = ?1 AND session.expires > ?2 AND (session.used IS NULL OR session.used > ?3)`,
		hashOf(token), now.UnixMicro(), now.Add(-SessionIdle).UnixMicro()).Scan(&admin, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrDenied
	}
	if err != nil {
		return "", err
	}
	if last := time.UnixMicro(used.Int64); !used.Valid || now.Sub(last).Abs() >= usedEvery {
		s.noteUse(ctx, token, now)
	}
	return admin, nil
}

// noteUse notes that a session is used. If that fails, as on a full disk, who uses it can
// work on: it may end too early.
func (s *Store) noteUse(ctx context.Context, token string, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	err := s.write(ctx, func(ctx context.Context, tx conn) error {
		return tx.exec(ctx, "UPDATE session SET used = ?2 WHERE hash = ?1", hashOf(token), now.UnixMicro())
	})
	if err != nil {
		s.log.Warn("use of a session not noted, it may end early", "err", err)
	}
}

// PruneSessions deletes the sessions that have ended, and returns how many.
func (s *Store) PruneSessions(ctx context.Context) (n int64, err error) {
	err = s.write(ctx, func(ctx context.Context, tx conn) (err error) {
		n, err = s.pruneSessions(ctx, tx)
		return err
	})
	return n, err
}

func (s *Store) pruneSessions(ctx context.Context, tx conn) (int64, error) {
	now := s.now()
	return tx.change(ctx, "DELETE FROM session WHERE expires <= ?1 OR used <= ?2 OR admin NOT IN (SELECT name FROM admin)",
		now.UnixMicro(), now.Add(-SessionIdle).UnixMicro())
}

// Logout ends a session.
func (s *Store) Logout(ctx context.Context, token string) error {
	return s.write(ctx, func(ctx context.Context, tx conn) error {
		return tx.exec(ctx, "DELETE FROM session WHERE hash = ?1", hashOf(token))
	})
}

// hashOf is what is kept of a token: a reader of the store cannot log in with it.
func hashOf(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}
