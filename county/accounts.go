package county

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"dalaba/county/store"
)

// accountStore keeps the administrators and their sessions.
type accountStore interface {
	SetAdmin(ctx context.Context, name, password string) error
	Login(ctx context.Context, name, password string, expires time.Time) (token string, err error)
	Session(ctx context.Context, token string) (admin string, err error)
	Logout(ctx context.Context, token string) error
}

// accounts decides who may use the API: the holder of the token, and
// administrators who have logged in.
type accounts struct {
	base
	store   accountStore
	token   string        // empty: none does
	hashing chan struct{} // has room for as many passwords as are hashed at once
}

const (
	// loginsAtOnce bounds the memory that strangers can make us spend: each
	// password costs 64 MiB for a moment.
	loginsAtOnce = 2

	sessionLife   = 12 * time.Hour
	leastPassword = 10 // characters
)

func bearer(r *http.Request) string {
	t, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return t
}

// admit returns [store.ErrDenied] if a request has neither the token nor a
// session.
func (a *accounts) admit(r *http.Request) error {
	token := bearer(r)
	if token == "" {
		return store.ErrDenied
	}
	if a.token != "" {
		x, y := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(a.token))
		if subtle.ConstantTimeCompare(x[:], y[:]) == 1 {
			return nil
		}
	}
	_, err := a.store.Session(r.Context(), token)
	return err
}

// Login is a name and a password.
type Login struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// session is a token and how long it is good.
type session struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// login opens a session. from is the address of the client.
func (a *accounts) login(ctx context.Context, l Login, from string) (s session, err error) {
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
	case <-ctx.Done():
		return s, ctx.Err()
	}
	s.Expires = a.now().Add(sessionLife)
	s.Token, err = a.store.Login(ctx, l.Name, l.Password, s.Expires)
	if errors.Is(err, store.ErrDenied) {
		a.log.Warn("login refused", "from", from, "name", l.Name)
	}
	return s, err
}

func (a *accounts) logout(ctx context.Context, token string) error { return a.store.Logout(ctx, token) }

// setAdmin gives an administrator a password.
func (a *accounts) setAdmin(ctx context.Context, l Login) error {
	if strings.TrimSpace(l.Name) == "" || len([]rune(l.Password)) < leastPassword {
		return invalid("county.password_short")
	}
	return a.store.SetAdmin(ctx, l.Name, l.Password)
}
