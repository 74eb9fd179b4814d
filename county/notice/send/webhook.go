// Package send has the ways by which a notice goes out: webhooks and mail.
//
// No error of it names the address of a webhook, which may hold a key, or a password.
package send

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"dalaba/county/notice"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Within is how long a receiver may take.
const Within = 10 * time.Second

// Message is a notice on its way out.
type Message struct {
	County string // its name
	notice.Notice
}

// Webhook posts notices to an address.
type Webhook struct {
	to     *url.URL
	client *http.Client
}

// body is what a webhook is sent.
type body struct {
	Text   string          `json:"text"`
	Kind   notice.Kind     `json:"kind"`
	Level  emergency.Level `json:"level,omitempty"`
	County string          `json:"county"`
	Notify string          `json:"notify"`
	ID     int64           `json:"id"`
	At     time.Time       `json:"at"`
}

const (
	mostText   = 16 << 10 // bytes of a notice that are sent
	mostAnswer = 64 << 10 // bytes of the response that are read
	mostHops   = 5        // how often the receiver may redirect
)

// errRedirected means that the receiver redirects to another host.
var errRedirected = errors.New("redirected to another host")

// NewWebhook makes a webhook of an address.
func NewWebhook(to *url.URL) *Webhook {
	return &Webhook{to, &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
			MaxResponseHeaderBytes: mostAnswer,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != to.Scheme || r.URL.Host != to.Host || len(via) > mostHops {
				return errRedirected
			}
			return nil
		},
	}}
}

// Send posts a notice. The receiver has it if it replies with a status of 200 to 299.
func (w *Webhook) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, Within)
	defer cancel()
	text, err := json.Marshal(body{bounded(m.Text), m.Kind, m.Level, m.County, m.To, m.ID, m.At.UTC()})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.to.String(), bytes.NewReader(text))
	if err != nil {
		return w.discreet(err)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := w.client.Do(r)
	if err != nil {
		return w.discreet(err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, mostAnswer))
	err = errors.Join(err, resp.Body.Close())
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return say.M("notice.status", fmt.Sprint(resp.StatusCode, " ", http.StatusText(resp.StatusCode)))
	}
	return w.discreet(err)
}

// discreet is an error without the address.
func (w *Webhook) discreet(err error) error {
	var broken *url.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errRedirected):
		return say.M("notice.redirected")
	case errors.Is(err, context.DeadlineExceeded):
		return say.M("notice.timed_out", int(Within.Seconds()))
	case errors.As(err, &broken):
		err = broken.Err
	}
	if uri := w.to.RequestURI(); len(uri) > 1 && strings.Contains(err.Error(), uri) {
		return say.M("notice.status", "?")
	}
	return err
}

// bounded is a text of no more than mostText bytes.
func bounded(text string) string {
	if len(text) > mostText {
		text = strings.ToValidUTF8(text[:mostText], "") + "…"
	}
	return text
}
