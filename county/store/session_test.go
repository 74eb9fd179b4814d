package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"dalaba/county/store"
)

const password = "correct horse battery"

func TestASessionEnds(t *testing.T) {
	const life = 12 * time.Hour
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			o := options(t, kind)
			var ahead atomic.Int64
			o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			s := open(t, o)
			pass := func(d time.Duration) { ahead.Add(int64(d)) }
			login := func() string {
				t.Helper()
				token, err := s.Login(t.Context(), "boss", password, o.Now().Add(life))
				if err != nil {
					t.Fatal(err)
				}
				return token
			}
			setPassword := func(name, text string) {
				t.Helper()
				if err := s.SetAdmin(t.Context(), name, text); err != nil {
					t.Fatal(err)
				}
			}
			exec := func(query string, args ...any) {
				t.Helper()
				if err := store.Exec(t.Context(), s, query, args...); err != nil {
					t.Fatal(err)
				}
			}
			use := func(token string) error { _, err := s.Session(t.Context(), token); return err }
			for _, c := range []struct {
				name  string
				after func(token string)
				good  bool
			}{
				{"at once", func(string) {}, true},
				{"nearly two hours of rest", func(string) { pass(store.SessionIdle - time.Minute) }, true},
				{"two hours of rest", func(string) { pass(store.SessionIdle) }, false},
				{"hours in which it is used each hour", func(token string) {
					for range 8 {
						pass(time.Hour)
						if err := use(token); err != nil {
							t.Errorf("it ended in use: %v", err)
						}
					}
				}, true},
				{"twelve hours, however busy", func(token string) {
					for range 24 {
						pass(30 * time.Minute)
						_ = use(token)
					}
				}, false},
				{"a logout", func(token string) {
					if err := s.Logout(t.Context(), token); err != nil {
						t.Fatal(err)
					}
				}, false},
				{"a new password", func(string) { setPassword("boss", password) }, false},
				{"another administrator's new password", func(string) { setPassword("other", password) }, true},
				{"the end of the account", func(string) { exec("DELETE FROM admin WHERE name = ?1", "boss") }, false},
				{"seven more logins", func(string) {
					for range store.MostSessions - 1 {
						login()
					}
				}, true},
				{"eight more logins", func(string) {
					for range store.MostSessions {
						pass(time.Second)
						login()
					}
				}, false},
				{"the program one version back opened it", func(string) { exec("UPDATE session SET used = NULL") }, true},
			} {
				t.Run(c.name, func(t *testing.T) {
					setPassword("boss", password) // ends the sessions of the case before
					token := login()
					c.after(token)
					if err := use(token); c.good != (err == nil) || err != nil && !errors.Is(err, store.ErrDenied) {
						t.Errorf("it is answered %v", err)
					}
				})
			}
		})
	}
}

func TestSessionsThatHaveEndedAreDeleted(t *testing.T) {
	o := options(t, "sqlite")
	var ahead atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := open(t, o)
	for _, name := range []string{"boss", "gone"} {
		if err := s.SetAdmin(t.Context(), name, password); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []struct {
		name string
		life time.Duration
	}{{"boss", time.Minute}, {"boss", 12 * time.Hour}, {"gone", 12 * time.Hour}} {
		if _, err := s.Login(t.Context(), l.name, password, o.Now().Add(l.life)); err != nil {
			t.Fatal(err)
		}
	}
	prune := func(want int64, left int) {
		t.Helper()
		n, err := s.PruneSessions(t.Context())
		if err != nil || n != want {
			t.Errorf("%d deleted, %v; want %d", n, err, want)
		}
		if n, err := store.Sessions(t.Context(), s); err != nil || n != left {
			t.Errorf("%d are left, %v; want %d", n, err, left)
		}
	}
	prune(0, 3)
	ahead.Store(int64(time.Hour))
	prune(1, 2)
	if err := store.Exec(t.Context(), s, "DELETE FROM admin WHERE name = 'gone'"); err != nil {
		t.Fatal(err)
	}
	prune(1, 1)
	ahead.Store(int64(store.SessionIdle + time.Minute))
	prune(1, 0)
}

func TestALoginWithAPasswordThatIsChangedMeanwhileIsDenied(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		if err := s.SetAdmin(t.Context(), "boss", password); err != nil {
			t.Fatal(err)
		}
		_, err := store.LoginMeanwhile(t.Context(), s, "boss", password, time.Now().Add(time.Hour), func() {
			if err := s.SetAdmin(t.Context(), "boss", "another horse battery"); err != nil {
				t.Fatal(err)
			}
		})
		if !errors.Is(err, store.ErrDenied) {
			t.Errorf("answered %v", err)
		}
		if n, err := store.Sessions(t.Context(), s); err != nil || n != 0 {
			t.Errorf("%d sessions, %v", n, err)
		}
	})
}

// Who reads the database, or a backup of it, cannot use the sessions in it.
func TestTheStoreHoldsNoTokenNorPassword(t *testing.T) {
	o := options(t, "sqlite")
	s := open(t, o)
	if err := s.SetAdmin(t.Context(), "boss", password); err != nil {
		t.Fatal(err)
	}
	token, err := s.Login(t.Context(), "boss", password, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(o.Dir, "county.db*"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil || bytes.Contains(text, []byte(token)) || bytes.Contains(text, []byte(password)) {
			t.Errorf("%s holds it (%v)", file, err)
		}
	}
}

func TestABackupThatTakesTheDatabasesPlaceBringsBackNoSession(t *testing.T) {
	o := options(t, "sqlite")
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetAdmin(t.Context(), "boss", password); err != nil {
		t.Fatal(err)
	}
	token, err := s.Login(t.Context(), "boss", password, time.Now().Add(12*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.BackupDue(t.Context(), time.Now(), 7); err != nil {
		t.Fatal(err)
	}
	if err := s.Logout(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	scribble(t, filepath.Join(o.Dir, "county.db"), 0, 1)
	s = open(t, o)
	if all, err := s.Losses(t.Context()); err != nil || len(all) != 1 {
		t.Fatalf("no backup took its place: %v, %v", all, err)
	}
	if _, err := s.Session(t.Context(), token); !errors.Is(err, store.ErrDenied) {
		t.Errorf("the session is back: %v", err)
	}
}
