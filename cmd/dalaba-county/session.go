package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/data/secret"
)

// session is a login at a county elsewhere, as it is kept for the verbs that follow.
type session struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
	CA      string    `json:"ca,omitempty"` // certificates, PEM

	path string // its file; empty: not a login that is kept
}

// sessionFile is where the login at a server is kept: in the user's own folder of settings.
func sessionFile(server string) (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "dalaba-county", url.PathEscape(server)+".session"), err
}

// serverURL is the address that --server names, in one form.
func (a *app) serverURL() string { return strings.TrimRight(a.server, "/") }

// readSession reads the login at the server. If there is none, or it is over, the error
// says to log in.
func (a *app) readSession() (s session, err error) {
	path, err := sessionFile(a.serverURL())
	if err != nil {
		return s, cli.Refuse(sayM("county.need_token", a.serverURL()))
	}
	text, err := secret.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, cli.Refuse(sayM("county.need_token", a.serverURL()))
	}
	if err != nil {
		return s, cli.Refuse(unread(path, err))
	}
	if err := json.Unmarshal(text, &s); err != nil || s.Token == "" || !time.Now().Before(s.Expires) {
		return s, errors.Join(cli.Refuse(sayM("county.session_over", a.serverURL())), os.Remove(path))
	}
	s.path = path
	return s, nil
}

// loginCmd opens a session at a county elsewhere.
func (a *app) loginCmd() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "login " + a.Say("county.use_name"), Short: a.Say("county.login_short"), Long: a.Say("county.login_long"), Args: a.oneArg("name"),
		RunE: func(c *cobra.Command, args []string) error { return a.login(c.Context(), args[0], file) },
	}
	c.Flags().StringVar(&file, "password-file", "", a.Say("county.flag_password"))
	return c
}

func (a *app) login(ctx context.Context, name, file string) error {
	if a.server == "" {
		return cli.Refuse(sayM("county.login_server"))
	}
	path, err := sessionFile(a.serverURL())
	if err != nil {
		return err
	}
	ca, err := a.readCA()
	if err != nil {
		return err
	}
	k, err := a.dial(session{CA: ca})
	if err != nil {
		return err
	}
	password, err := a.password(file)
	if err != nil {
		return err
	}
	before, errBefore := a.readSession()
	var s session
	if err := k.post(ctx, "/api/login", nil, county.Login{Name: name, Password: password}, &s); err != nil {
		return err
	}
	s.CA = ca
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := secret.Write(path, text); err != nil {
		return err
	}
	if errBefore == nil { // its token would be good for hours, and in no file
		if err := a.endSession(ctx, before); err != nil {
			return err
		}
	}
	a.Println(a.Say("county.logged_in", a.serverURL(), k.local(s.Expires).Format("2006-01-02 15:04")))
	return nil
}

// endSession ends a session at the server: who has a copy of its token cannot use it then.
func (a *app) endSession(ctx context.Context, s session) error {
	k, err := a.dial(session{Token: s.Token, CA: s.CA})
	if err != nil {
		return err
	}
	if err = k.post(ctx, "/api/logout", nil, struct{}{}, nil); denied(err) {
		return nil // it had ended
	}
	return err
}

// logoutCmd ends the session at a county elsewhere.
func (a *app) logoutCmd() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: a.Say("county.logout_short"), Args: a.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.server == "" {
				return cli.Refuse(sayM("county.login_server"))
			}
			s, err := a.readSession()
			if err != nil {
				return err
			}
			err = a.endSession(c.Context(), s)
			if gone := os.Remove(s.path); !errors.Is(gone, fs.ErrNotExist) {
				err = errors.Join(err, gone)
			}
			if err != nil {
				return errors.Join(sayM("county.logout_there", s.Expires.Local().Format("2006-01-02 15:04")), err)
			}
			a.Println(a.Say("county.logged_out", a.serverURL()))
			return nil
		},
	}
}
