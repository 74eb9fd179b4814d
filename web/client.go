package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"dalaba/playlist/say"
)

// ErrSilent means that a live stream broke off: nothing came for 30 s.
var ErrSilent = errors.New("the server has fallen silent")

const (
	silence     = 30 * time.Second
	dialTimeout = 5 * time.Second
)

// Client asks a server.
type Client struct {
	Base   string       // such as "https://county.example"
	HTTP   *http.Client // nil: http.DefaultClient
	Lang   say.Lang     // of texts for people
	Header http.Header  // sent with each request

	Answered func(*http.Response) // called with each answer before its body is read; nil: not called
}

// OverSocket returns an HTTP client that reaches one server, over a unix socket.
func OverSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // another connection costs less than an idle one to look after
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialTimeout}
			return d.DialContext(ctx, "unix", path)
		},
	}}
}

// Failed is an answer that is not 200. Its text is for people, in the client's
// language.
type Failed struct {
	Status   int
	Text     string
	Problems []string // one by one, if there are several
}

func (f *Failed) Error() string { return f.Text }

// Get asks for a path, which may have a query, and decodes the answer.
func (c *Client) Get(ctx context.Context, path string, to any) error {
	return c.do(ctx, http.MethodGet, path, nil, to)
}

// Post sends a value as JSON, or bytes and readers as they are, and decodes the
// answer.
func (c *Client) Post(ctx context.Context, path string, body, to any) error {
	return c.do(ctx, http.MethodPost, path, body, to)
}

func (c *Client) do(ctx context.Context, method, path string, body, to any) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if to == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(to)
}

// Stream posts a value and calls each with every value of the live answer, until
// it ends or each returns an error, which Stream then returns.
func (c *Client) Stream(ctx context.Context, path string, body any, each func(json.RawMessage) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(ErrSilent) })
	defer watch.Stop()
	resp, err := c.send(ctx, http.MethodPost, path, body)
	if err != nil {
		return cause(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := json.NewDecoder(&watched{resp.Body, watch})
	for {
		var line json.RawMessage
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return cause(ctx, err)
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

// cause returns why ctx was cancelled; err if it was not.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// watched puts a timer off with every read.
type watched struct {
	io.Reader
	timer *time.Timer
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if n > 0 {
		w.timer.Reset(silence)
	}
	return n, err
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var r io.Reader
	kind := "application/json; charset=utf-8"
	switch b := body.(type) {
	case nil:
	case []byte:
		r, kind = bytes.NewReader(b), "application/octet-stream"
	case io.Reader:
		r, kind = b, "application/octet-stream"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, r)
	if err != nil {
		return nil, err
	}
	for k, v := range c.Header {
		req.Header[k] = v
	}
	req.Header.Set("Accept-Language", string(c.Lang))
	if r != nil {
		req.Header.Set("Content-Type", kind)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if c.Answered != nil {
		c.Answered(resp)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, failed(path, resp)
	}
	return resp, nil
}

// failed reads an answer that is not 200, and closes it.
func failed(path string, resp *http.Response) error {
	defer func() { _ = resp.Body.Close() }()
	f := &Failed{Status: resp.StatusCode, Text: fmt.Sprintf("%s: %s", path, resp.Status)}
	var fault Fault
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(text, &fault) == nil && fault.Error != "" {
		f.Text, f.Problems = fault.Error, fault.Problems
	}
	return f
}
