package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"dalaba/cmd/cli"
	"dalaba/county"
	"dalaba/link"
)

// client is how verbs call the running server.
type client struct {
	base  string
	token string
	lang  string
	zone  *time.Location // the county's, after its first response
	http  *http.Client
}

// local is an instant in the county's zone.
func (c *client) local(t time.Time) time.Time { return t.In(c.zone) }

// ask makes a client of the server that --server names, or else of the one on
// this machine, by its socket.
func (a *app) ask() (*client, error) {
	c := &client{lang: string(a.Language()), zone: time.Local}
	if a.server == "" {
		s, err := a.load()
		if err != nil {
			return nil, err
		}
		socket := socketFile(s)
		c.base = "http://county"
		c.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}}}
		return c, nil
	}
	c.base = strings.TrimSuffix(a.server, "/")
	if a.token == "" {
		return nil, cli.Refuse(sayM("county.need_token"))
	}
	text, err := os.ReadFile(a.token)
	if err != nil {
		return nil, cli.Refuse(sayM("county.no_token_file", a.token, err))
	}
	c.token = strings.TrimSpace(string(text))
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.ca != "" {
		pem, err := os.ReadFile(a.ca)
		if err != nil {
			return nil, cli.Refuse(sayM("county.no_token_file", a.ca, err))
		}
		if conf, err = link.TLS(string(pem)); err != nil {
			return nil, err
		}
	}
	c.http = &http.Client{Transport: &http.Transport{TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment}}
	return c, nil
}

// get sends a request and decodes the response.
func (c *client) get(ctx context.Context, path string, q url.Values, to any) error {
	return c.do(ctx, http.MethodGet, path, q, nil, to)
}

// post sends a value as JSON; bytes and readers as they are.
func (c *client) post(ctx context.Context, path string, q url.Values, body, to any) error {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		r = bytes.NewReader(b)
	case io.Reader:
		r = b
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(text)
	}
	return c.do(ctx, http.MethodPost, path, q, r, to)
}

func (c *client) do(ctx context.Context, method, path string, q url.Values, body io.Reader, to any) error {
	address := c.base + path
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return err
	}
	r.Header.Set("Accept-Language", c.lang)
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return sayM("county.no_server", err)
		}
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if name := resp.Header.Get(county.ZoneHeader); name != "" {
		if zone, err := time.LoadLocation(name); err == nil {
			c.zone = zone
		}
	}
	if resp.StatusCode != http.StatusOK {
		var failed struct {
			Error string `json:"error"`
		}
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if json.Unmarshal(text, &failed) == nil && failed.Error != "" {
			return errors.New(failed.Error)
		}
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	if to == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(to)
}

// show writes a value as JSON.
func (a *app) show(v any) error {
	e := json.NewEncoder(a.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// confirm asks a person; without a terminal the verb is refused.
func (a *app) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	f, ok := a.In.(*os.File)
	if !ok || !cli.IsTerminal(f) {
		return cli.Refuse(sayM("county.need_yes"))
	}
	fmt.Fprint(a.Out, question)
	var answer string
	if _, err := fmt.Fscanln(a.In, &answer); err != nil && answer == "" {
		return cli.Refuse(sayM("county.not_confirmed"))
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes", "是", "好":
		return nil
	}
	return cli.Refuse(sayM("county.not_confirmed"))
}
