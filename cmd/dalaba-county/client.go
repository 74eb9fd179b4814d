package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/data/secret"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/say"
	"dalaba/web"
)

// client is how verbs call the running server.
type client struct {
	web     web.Client
	zone    *time.Location // the county's, after its first response
	session session        // by which it is known to a county elsewhere
}

// local is an instant in the county's zone.
func (c *client) local(t time.Time) time.Time { return t.In(c.zone) }

// ask makes a client of the server that --server names, with the token or the login for
// it, or else of the one on this machine, by its socket.
func (a *app) ask() (*client, error) {
	if a.server == "" {
		s, err := a.load()
		if err != nil {
			return nil, err
		}
		c := a.newClient("http://county")
		c.web.HTTP = web.OverSocket(socketFile(s))
		return c, nil
	}
	s, err := a.known()
	if err != nil {
		return nil, err
	}
	return a.dial(s)
}

// known returns how this user is known to the server: by the token of --token-file, or by
// a login.
func (a *app) known() (s session, err error) {
	if a.token == "" {
		s, err = a.readSession()
	} else {
		var text []byte
		if text, err = secret.Read(a.token); err != nil {
			err = cli.Refuse(unread(a.token, err))
		}
		s.Token = strings.TrimSpace(string(text))
	}
	if err == nil && a.ca != "" {
		s.CA, err = a.readCA()
	}
	return s, err
}

// readCA reads the file of --ca-file; nothing if there is none.
func (a *app) readCA() (string, error) {
	if a.ca == "" {
		return "", nil
	}
	pem, err := os.ReadFile(a.ca)
	if err != nil {
		return "", cli.Refuse(sayM("county.no_file", a.ca, err))
	}
	return string(pem), nil
}

func (a *app) newClient(base string) *client {
	c := &client{web: web.Client{Base: base, Lang: a.Language()}, zone: time.Local}
	c.web.Answered = c.answered
	return c
}

// dial makes a client of the server that --server names. Passwords and tokens go to it,
// so no request leaves this machine in the clear, not even where the server redirects it.
func (a *app) dial(s session) (*client, error) {
	if u, err := url.Parse(a.server); err != nil || u.Host == "" || !sealed(u) {
		return nil, cli.Refuse(sayM("county.server_plain", a.server))
	}
	c := a.newClient(a.serverURL())
	c.session = s
	if s.Token != "" {
		c.web.Header = http.Header{"Authorization": {"Bearer " + s.Token}}
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		var err error
		if conf, err = link.TLS(s.CA); err != nil {
			return nil, err
		}
	}
	c.web.HTTP = &http.Client{
		Transport: &http.Transport{TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			switch {
			case !sealed(to.URL):
				return sayM("county.server_plain", to.URL.Redacted())
			case len(via) == mostRedirects:
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return c, nil
}

// mostRedirects is how often a server may name another address.
const mostRedirects = 10

// sealed reports whether others on the network cannot read what goes to an address: by
// https or, on this machine, also by http.
func sealed(u *url.URL) bool {
	if u.Scheme != "http" {
		return u.Scheme == "https"
	}
	return loopback(u.Hostname())
}

// answered notes the zone that the county lives by.
func (c *client) answered(r *http.Response) {
	if name := r.Header.Get(county.ZoneHeader); name != "" {
		if zone, err := time.LoadLocation(name); err == nil {
			c.zone = zone
		}
	}
}

// days puts dates in the place of days as people type them. Only the county knows its
// zone, which says what today is.
func (c *client) days(ctx context.Context, now time.Time, texts ...*string) error {
	if !slices.ContainsFunc(texts, func(t *string) bool { return *t != "" }) {
		return nil
	}
	var s county.CountyStatus
	if err := c.get(ctx, "/api/status", nil, &s); err != nil {
		return err
	}
	for _, text := range texts {
		if *text == "" {
			continue
		}
		d, err := cli.ParseDay(*text, now, c.zone)
		if err != nil {
			return err
		}
		*text = string(d)
	}
	return nil
}

// get sends a request and decodes the response.
func (c *client) get(ctx context.Context, path string, q url.Values, to any) error {
	return c.outcome(ctx, c.web.Get(ctx, withQuery(path, q), to))
}

// post sends a value as JSON; bytes and readers as they are.
func (c *client) post(ctx context.Context, path string, q url.Values, body, to any) error {
	return c.outcome(ctx, c.web.Post(ctx, withQuery(path, q), body, to))
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// outcome says what to do if an error means that no server was reached, or that the login
// there is over.
func (c *client) outcome(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if op := new(net.OpError); errors.As(err, &op) && op.Op == "dial" {
		if errors.Is(err, fs.ErrPermission) { // of the socket
			return sayM("county.hidden")
		}
		return sayM("county.no_server", err)
	}
	if c.session.path != "" && denied(err) {
		return errors.Join(sayM("county.session_over", c.web.Base), os.Remove(c.session.path))
	}
	return err
}

// denied reports whether the server does not know who asks.
func denied(err error) bool {
	failed := new(web.Failed)
	return errors.As(err, &failed) && failed.Status == http.StatusUnauthorized
}

// unanswered reports whether a request failed because the county could not be asked, broke
// off, or has trouble of its own: what was asked has nothing wrong with it then.
func unanswered(err error) bool {
	var failed *web.Failed
	var broken *url.Error
	var told say.Message
	switch {
	case errors.As(err, &failed):
		return failed.Status >= http.StatusInternalServerError
	case errors.As(err, &told):
		return told.Key == "county.no_server" || told.Key == "county.hidden"
	}
	return errors.As(err, &broken) || errors.Is(err, io.ErrUnexpectedEOF)
}

// show writes a value as JSON.
func (a *app) show(v any) error {
	e := json.NewEncoder(a.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// unread says why a file cannot be read. What is wrong with the file itself says what to do.
func unread(path string, err error) error {
	if errors.Is(err, playlist.ErrInvalid) {
		return err
	}
	return sayM("county.no_file", path, err)
}
