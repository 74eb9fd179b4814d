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

// Login opens a session: a token that is good until expires. A wrong name or
// password is [ErrDenied].
func (s *Store) Login(ctx context.Context, name, password string, expires time.Time) (token string, err error) {
	hash := noAdmin()
	err = s.read().row(ctx, "SELECT hash FROM admin WHERE name = ?1", name).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	if !checkPassword(hash, password) || err != nil {
		return "", ErrDenied
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails
	token = fmt.Sprintf("%x", raw)
	return token, s.write(ctx, func(ctx context.Context, tx conn) error {
		if err := tx.exec(ctx, "DELETE FROM session WHERE expires <= ?1", s.now().UnixMicro()); err != nil {
			return err
		}
		return tx.exec(ctx, "INSERT INTO session (hash, admin, expires) VALUES (?1, ?2, ?3)", hashOf(token), name, expires.UnixMicro())
	})
}

// Session returns the administrator who opened the session of a token, or
// [ErrDenied] if there is none or it has expired.
func (s *Store) Session(ctx context.Context, token string) (admin string, err error) {
	err = s.read().row(ctx, "SELECT admin FROM session WHERE hash = ?1 AND expires > ?2", hashOf(token), s.now().UnixMicro()).Scan(&admin)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrDenied
	}
	return admin, err
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
