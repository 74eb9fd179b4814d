package county

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist/say"
	"dalaba/web"
)

// accountStore keeps the administrators and their sessions.
type accountStore interface {
	SetAdmin(ctx context.Context, name, password string) error
	Login(ctx context.Context, name, password string, expires time.Time) (token string, err error)
	Session(ctx context.Context, token string) (admin string, err error)
	Logout(ctx context.Context, token string) error
	settingStore
}

// accounts decides who may use the API: the holder of the token, and
// administrators who have logged in.
type accounts struct {
	base
	store   accountStore
	token   string // empty: none does
	tries   *web.Tries
	hashing [2]web.Line // one password of a stranger is hashed at once, and one besides of who has logged in before
	refused link.Tally
}

func newAccounts(b base, s accountStore, token string) *accounts {
	return &accounts{base: b, store: s, token: token, tries: web.NewTries(), hashing: [2]web.Line{{Places: 1}, {Places: 1}}}
}

const (
	sessionLife   = 12 * time.Hour
	leastPassword = 10 // characters

	// hashWithin is how long a login waits for its password to be hashed. Each costs 64
	// MiB for a moment.
	hashWithin = 10 * time.Second
)

// errWait says that a login has to wait, as too many have failed.
var errWait = errors.New("too many logins have failed")

// knows reports whether someone has logged in from the address of a client lately: then
// strangers do not take the places of its requests.
func (a *accounts) knows(from string) bool { return a.tries.Knows(link.Source(from), a.now()) }

func bearer(r *http.Request) string {
	t, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return t
}

// tokenUser is the name of the holder of the token.
const tokenUser = "token"

// admit returns the name of the user who sent a request; [store.ErrDenied] if it has
// neither the token nor a session.
func (a *accounts) admit(r *http.Request) (user string, err error) {
	token := bearer(r)
	if token == "" {
		return "", store.ErrDenied
	}
	if a.token != "" {
		x, y := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(a.token))
		if subtle.ConstantTimeCompare(x[:], y[:]) == 1 {
			return tokenUser, nil
		}
	}
	return a.store.Session(r.Context(), token)
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
	source := link.Source(from)
	wait, known := a.tries.Begin(source, l.Name, a.now())
	if wait > 0 {
		a.refuse(from, l.Name)
		return s, fault{errWait, say.M("county.login_wait", int(math.Ceil(wait.Seconds())))}
	}
	line := &a.hashing[0]
	if known {
		line = &a.hashing[1]
	}
	waiting, cancel := context.WithTimeout(ctx, hashWithin)
	defer cancel()
	if !line.Take(waiting, source) {
		return s, web.ErrBusy
	}
	defer line.Leave()
	s.Expires = a.now().Add(sessionLife)
	s.Token, err = a.store.Login(ctx, l.Name, l.Password, s.Expires)
	switch {
	case errors.Is(err, store.ErrDenied):
		a.refuse(from, l.Name)
	case err == nil && a.tries.Succeeded(source, l.Name, a.now()):
		ctx := context.WithoutCancel(ctx)
		if err := errors.Join(a.load(ctx), retain(ctx, a.store, knownLogins, a.tries.Good(a.now()))); err != nil {
			a.log.Warn("who was believed is not kept for a restart", "err", err)
		}
	}
	return s, err
}

// knownLogins is the name of the setting that keeps who has logged in from where: they
// come first also after a restart.
const knownLogins = "known logins"

// load takes up what an earlier run, or another replica, knew.
func (a *accounts) load(ctx context.Context) error {
	var kept []web.Good
	err := recall(ctx, a.store, knownLogins, &kept)
	a.tries.Recall(kept)
	return err
}

func (a *accounts) refuse(from, name string) {
	a.refused.Warn(a.log, "", "login refused", nil, "from", from, "name", name)
}

func (a *accounts) logout(ctx context.Context, token string) error { return a.store.Logout(ctx, token) }

// setAdmin gives an administrator a password.
func (a *accounts) setAdmin(ctx context.Context, l Login) error {
	if strings.TrimSpace(l.Name) == "" || len([]rune(l.Password)) < leastPassword {
		return invalid("county.password_short")
	}
	return a.store.SetAdmin(ctx, l.Name, l.Password)
}
