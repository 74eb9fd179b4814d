package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
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
	"dalaba/web"
)

// client is how verbs call the running server.
type client struct {
	web  web.Client
	zone *time.Location // the county's, after its first response
}

// local is an instant in the county's zone.
func (c *client) local(t time.Time) time.Time { return t.In(c.zone) }

// ask makes a client of the server that --server names, or else of the one on
// this machine, by its socket.
func (a *app) ask() (*client, error) {
	c := &client{web: web.Client{Lang: a.Language()}, zone: time.Local}
	c.web.Answered = c.answered
	if a.server == "" {
		s, err := a.load()
		if err != nil {
			return nil, err
		}
		c.web.Base, c.web.HTTP = "http://county", web.OverSocket(socketFile(s))
		return c, nil
	}
	c.web.Base = strings.TrimSuffix(a.server, "/")
	if a.token == "" {
		return nil, cli.Refuse(sayM("county.need_token"))
	}
	text, err := secret.Read(a.token)
	if err != nil {
		return nil, cli.Refuse(unread(a.token, err))
	}
	c.web.Header = http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(text))}}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.ca != "" {
		pem, err := os.ReadFile(a.ca)
		if err != nil {
			return nil, cli.Refuse(sayM("county.no_file", a.ca, err))
		}
		if conf, err = link.TLS(string(pem)); err != nil {
			return nil, err
		}
	}
	c.web.HTTP = &http.Client{Transport: &http.Transport{TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment}}
	return c, nil
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
	return unreached(ctx, c.web.Get(ctx, withQuery(path, q), to))
}

// post sends a value as JSON; bytes and readers as they are.
func (c *client) post(ctx context.Context, path string, q url.Values, body, to any) error {
	return unreached(ctx, c.web.Post(ctx, withQuery(path, q), body, to))
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// unreached says what to do if an error means that no server was reached.
func unreached(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if op := new(net.OpError); errors.As(err, &op) && op.Op == "dial" {
		if errors.Is(err, fs.ErrPermission) { // of the socket
			return sayM("county.hidden")
		}
		return sayM("county.no_server", err)
	}
	return err
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
