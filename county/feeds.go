package county

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"dalaba/alert"
	"dalaba/playlist"
)

// Feed is a feed of CAP messages.
type Feed struct {
	URL    string
	Every  time.Duration // between two requests; default a minute
	Silent time.Duration // without a response for that long, a person must look; default an hour
}

// feed reads one feed. Only its own goroutine uses it.
type feed struct {
	base
	Feed
	client *http.Client
	alerts *alerts

	tag, modified string          // of the last response
	seen          map[string]bool // entries that were taken; the store knows them too
	denied        map[string]int  // how often the link of an entry was refused
}

const (
	// maxFeed bounds a feed and each message that it names.
	maxFeed = alert.MaxXML

	// mostDenied is how often a broken link is tried: a feed may name a message
	// shortly before it is there.
	mostDenied = 10

	// longestFeedWait is the longest time between two requests to a feed that
	// fails.
	longestFeedWait = 30 * time.Minute
)

func newFeed(b base, f Feed, client *http.Client, a *alerts) *feed {
	if f.Every == 0 {
		f.Every = time.Minute
	}
	if f.Silent == 0 {
		f.Silent = time.Hour
	}
	return &feed{base: b, Feed: f, client: client, alerts: a, seen: map[string]bool{}, denied: map[string]int{}}
}

// run reads the feed until ctx ends. If it fails it is read less often, and
// after a while an error is logged.
func (f *feed) run(ctx context.Context) {
	var (
		good    = f.now() // the last time that it was read
		wait    time.Duration
		alarmed bool
	)
	for {
		err := f.read(ctx)
		now := f.now()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if alarmed {
				f.log.Info("feed answers again", "url", f.URL)
			}
			good, wait, alarmed = now, f.Every, false
		default:
			wait = min(max(2*wait, f.Every), longestFeedWait)
			f.log.Warn("feed did not answer", "url", f.URL, "again_in", wait, "err", err)
			if !alarmed && now.Sub(good) >= f.Silent {
				alarmed = true
				f.log.Error("feed has been silent for too long", "url", f.URL, "since", good)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// read reads the feed once and takes what it names. An entry that cannot be
// taken is no failure of the feed: it is tried again the next time.
func (f *feed) read(ctx context.Context) error {
	resp, err := f.get(ctx, f.URL, true)
	switch {
	case err != nil:
		return err
	case resp.code == http.StatusNotModified:
		return nil
	case resp.code != http.StatusOK:
		return fmt.Errorf("%s: %s", f.URL, resp.status)
	case len(resp.body) > maxFeed:
		return alert.ErrTooLarge
	}
	m, err := f.alerts.parse(ctx, resp.body)
	if err != nil {
		return err
	}
	var failed error
	switch {
	case m.Kind == alert.KindAlert:
		_, failed = f.alerts.takeMessage(ctx, m, FromFeed)
	case m.Feed == nil:
		return notAnAlert(m)
	default:
		for _, e := range m.Feed.Entries {
			failed = errors.Join(failed, f.entry(ctx, e))
		}
	}
	f.tag, f.modified = resp.header.Get("ETag"), resp.header.Get("Last-Modified")
	if failed != nil {
		f.log.Warn("messages of a feed could not be taken; they are tried again", "url", f.URL, "err", failed)
		f.tag, f.modified = "", "" // the same again is wanted
	}
	return nil
}

// response is what came back for a request.
type response struct {
	code   int
	status string
	header http.Header
	body   []byte // up to one byte more than maxFeed
}

// get requests a URL; if changed, only what has changed since the last time.
func (f *feed) get(ctx context.Context, from string, changed bool) (response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return response{}, err
	}
	if changed && f.tag != "" {
		r.Header.Set("If-None-Match", f.tag)
	}
	if changed && f.modified != "" {
		r.Header.Set("If-Modified-Since", f.modified)
	}
	resp, err := f.client.Do(r)
	if err != nil {
		return response{}, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxFeed+1))
	return response{resp.StatusCode, resp.Status, resp.Header, raw}, errors.Join(err, resp.Body.Close())
}

// entry takes the alerts of an entry, fetching those that it only names.
func (f *feed) entry(ctx context.Context, e alert.Entry) error {
	for _, m := range e.Alerts {
		if _, err := f.alerts.takeMessage(ctx, m, FromFeed); err != nil {
			return err
		}
	}
	if len(e.Alerts) > 0 || len(e.Links) == 0 {
		return nil
	}
	key := e.ID + " " + e.Updated.String()
	if f.seen[key] {
		return nil
	}
	from, err := url.Parse(f.URL)
	if err != nil {
		return err
	}
	to, err := from.Parse(e.Links[0])
	if err != nil || to.Host != from.Host {
		// A feed must not send us about the network.
		f.log.Warn("feed names a message elsewhere", "url", from.String(), "link", e.Links[0])
		f.seen[key] = true
		return nil
	}
	resp, err := f.get(ctx, to.String(), false)
	switch {
	case err != nil:
		return err
	case resp.code >= 400 && resp.code < 500:
		if f.denied[key]++; f.denied[key] < mostDenied {
			return fmt.Errorf("%s: %s", to, resp.status)
		}
		f.log.Warn("feed names a message that is not there", "url", to.String(), "status", resp.status)
		f.seen[key] = true
		return nil
	case resp.code != http.StatusOK:
		return fmt.Errorf("%s: %s", to, resp.status)
	}
	if _, err := f.alerts.takeCAP(ctx, resp.body, FromFeed); err != nil && !errors.Is(err, playlist.ErrInvalid) {
		return err
	} else if err != nil {
		f.log.Warn("message of a feed refused", "url", to.String(), "err", err)
	}
	f.seen[key] = true
	return nil
}
