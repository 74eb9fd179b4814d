package link

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"dalaba/playlist"
)

// Wanted is a clip to fetch.
type Wanted struct {
	Clip   playlist.Clip
	Urgent bool // the clip of an alert, which is fetched before all others
}

const (
	clipFetchers = 2
	stallAfter   = time.Minute // a download is given up if no byte arrives for so long
	clipBackoff  = 5 * time.Second
	clipBackTop  = 10 * time.Minute
)

// clipDial is how long a source may take to accept a connection. It is short,
// because there are other sources.
var clipDial = 10 * time.Second

// Clips fetches clips by HTTP from its sources: a neighbouring controller, a town's
// cache, the county. It need not trust any of them, because a clip's ID is the hash
// of its bytes. If a download breaks off, it keeps what arrived and asks for the
// rest. Dir, Store, Sources and Log are required.
type Clips struct {
	Dir   string // for clips that are not complete; it must hold no other files
	Store ClipStore
	Log   *slog.Logger

	// Sources returns the addresses to fetch from, the nearest first; "/clips/<ID>"
	// is appended.
	Sources func() []string

	Client *http.Client                              // default [http.DefaultClient]; see [ClipClient]
	Sign   func(r *http.Request, id playlist.ClipID) // adds the controller's name and signature to a request; see [SignClip]
	Got    func(id playlist.ClipID)                  // called with each clip that was stored

	Fetchers int                           // downloads at once; default 2
	Backoff  func(tries int) time.Duration // how long to wait after a failure; default 5 s doubling to 10 min, half of it jitter

	once    sync.Once
	mu      sync.Mutex
	wanted  []Wanted
	busy    map[playlist.ClipID]context.CancelFunc
	tries   map[playlist.ClipID]int
	retryAt map[playlist.ClipID]time.Time
	changed chan struct{}
}

// ClipClient returns an HTTP client for clips that connects with the TLS settings of
// [MemberTLS].
func ClipClient(c *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: clipDial}).DialContext, TLSClientConfig: c, TLSHandshakeTimeout: 30 * time.Second, ResponseHeaderTimeout: stallAfter,
		MaxIdleConnsPerHost: clipFetchers, IdleConnTimeout: stallAfter, Proxy: http.ProxyFromEnvironment,
	}}
}

func (c *Clips) init() {
	c.once.Do(func() {
		c.busy, c.tries = map[playlist.ClipID]context.CancelFunc{}, map[playlist.ClipID]int{}
		c.retryAt, c.changed = map[playlist.ClipID]time.Time{}, make(chan struct{}, 1)
		if c.Client == nil {
			c.Client = http.DefaultClient
		}
		if c.Backoff == nil {
			c.Backoff = func(tries int) time.Duration {
				top := min(clipBackTop, clipBackoff<<min(tries-1, 10))
				return top/2 + rand.N(top/2)
			}
		}
	})
}

// Want sets which clips to fetch; it replaces what was set before. Urgent ones are
// fetched first and do not wait until other downloads end. A download that is no
// longer wanted is cancelled.
func (c *Clips) Want(all []Wanted) {
	c.init()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = slices.Clone(all)
	slices.SortStableFunc(c.wanted, func(a, b Wanted) int { return cmp.Compare(urgentFirst(a), urgentFirst(b)) })
	for id, stop := range c.busy {
		if !slices.ContainsFunc(c.wanted, func(w Wanted) bool { return w.Clip.ID == id }) {
			stop()
		}
	}
	c.removeUnwantedParts()
	for _, w := range all {
		if w.Urgent {
			delete(c.retryAt, w.Clip.ID)
		}
	}
	signal(c.changed)
}

// removeUnwantedParts deletes the parts of clips that are no longer wanted.
func (c *Clips) removeUnwantedParts() {
	parts, _ := filepath.Glob(filepath.Join(c.Dir, "*.part"))
	for _, p := range parts {
		id := playlist.ClipID(strings.TrimSuffix(filepath.Base(p), ".part"))
		if !slices.ContainsFunc(c.wanted, func(w Wanted) bool { return w.Clip.ID == id }) {
			_ = os.Remove(p)
		}
	}
}

// urgentFirst is the sort key of a clip.
func urgentFirst(w Wanted) int {
	if w.Urgent {
		return 0
	}
	return 1
}

// Run fetches until ctx ends.
func (c *Clips) Run(ctx context.Context) error {
	c.init()
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.changed:
		case <-timer.C:
		}
		for {
			w, fctx, next := c.nextWanted(ctx)
			if fctx == nil {
				timer.Reset(next)
				break
			}
			wait.Go(func() {
				err := c.fetch(fctx, w.Clip)
				c.finish(ctx, w, err)
			})
		}
	}
}

// nextWanted starts the next download: it returns the clip and a context for it. If
// there is none to start, fctx is nil and next is how long to wait.
func (c *Clips) nextWanted(ctx context.Context) (w Wanted, fctx context.Context, next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := max(1, cmp.Or(c.Fetchers, clipFetchers)) - len(c.busy)
	next = time.Hour
	for _, w := range c.wanted {
		if c.busy[w.Clip.ID] != nil {
			continue
		}
		if room <= 0 && (!w.Urgent || room <= -clipFetchers) {
			break // urgent clips may use clipFetchers downloads more
		}
		if wait := time.Until(c.retryAt[w.Clip.ID]); wait > 0 {
			next = min(next, wait)
			continue
		}
		fctx, stop := context.WithCancel(ctx)
		c.busy[w.Clip.ID] = stop
		return w, fctx, 0
	}
	return Wanted{}, nil, next
}

// finish records how a download ended.
func (c *Clips) finish(ctx context.Context, w Wanted, err error) {
	c.mu.Lock()
	id := w.Clip.ID
	c.busy[id]()
	delete(c.busy, id)
	if err == nil {
		delete(c.tries, id)
		delete(c.retryAt, id)
		c.wanted = slices.DeleteFunc(c.wanted, func(w Wanted) bool { return w.Clip.ID == id })
	} else {
		c.tries[id]++
		c.retryAt[id] = time.Now().Add(c.Backoff(c.tries[id]))
	}
	c.mu.Unlock()
	switch {
	case err == nil:
		c.Log.Info("clip fetched", "clip", id, "bytes", w.Clip.Size)
		if c.Got != nil {
			c.Got(id)
		}
	case ctx.Err() == nil && !errors.Is(err, context.Canceled):
		c.Log.Warn("clip not fetched", "clip", id, "err", err)
	}
	signal(c.changed)
}

func (c *Clips) partFile(id playlist.ClipID) string { return filepath.Join(c.Dir, string(id)+".part") }

// fetch downloads one clip, from the first source that has it, and stores it.
func (c *Clips) fetch(ctx context.Context, clip playlist.Clip) error {
	if _, err := playlist.ParseClipID(string(clip.ID)); err != nil {
		return err
	}
	if ok, err := c.Store.HasClip(ctx, clip.ID); err != nil || ok {
		return err
	}
	var errs []error
	for _, base := range c.Sources() {
		err := c.downloadFrom(ctx, base, clip)
		if err == nil {
			return c.store(ctx, clip)
		}
		errs = append(errs, fmt.Errorf("%s: %w", base, err))
		if ctx.Err() != nil {
			break
		}
	}
	if len(errs) == 0 {
		return errors.New("nobody to ask")
	}
	return errors.Join(errs...)
}

// store moves a downloaded clip into the store.
func (c *Clips) store(ctx context.Context, clip playlist.Clip) error {
	f, err := os.Open(c.partFile(clip.ID))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.Store.PutClip(ctx, clip, f); err != nil {
		return err
	}
	return os.Remove(f.Name())
}

// downloadFrom downloads the missing bytes of a clip from one source into the part
// file, and checks that the file then has the clip's hash.
func (c *Clips) downloadFrom(ctx context.Context, base string, clip playlist.Clip) (err error) {
	f, err := os.OpenFile(c.partFile(clip.ID), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	have, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if have > clip.Size {
		if have, err = 0, truncate(f, sum); err != nil {
			return err
		}
	}
	for {
		if have < clip.Size {
			if err := c.request(ctx, base, clip, have, f, sum); err != nil {
				return err
			}
		}
		got := hex.EncodeToString(sum.Sum(nil))
		if got == string(clip.ID) {
			return f.Sync()
		}
		// We cannot tell which byte is wrong. If the first bytes came from another
		// source, or were damaged by a power cut, try this source once more from the
		// start.
		if err := truncate(f, sum); err != nil {
			return err
		}
		if have == 0 {
			return fmt.Errorf("%w: the bytes are those of %s", ErrMalformed, playlist.ClipID(got).Short())
		}
		have = 0
	}
}

// truncate empties the part file and restarts the hash.
func truncate(f *os.File, sum hash.Hash) error {
	sum.Reset()
	_, err := f.Seek(0, io.SeekStart)
	return errors.Join(err, f.Truncate(0))
}

// request downloads the bytes from have on and appends them to f and sum. If the
// source sends the whole clip instead, it starts again from byte 0.
func (c *Clips) request(ctx context.Context, base string, clip playlist.Clip, have int64, f *os.File, sum hash.Hash) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/clips/"+string(clip.ID), nil)
	if err != nil {
		return err
	}
	if have > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	if c.Sign != nil {
		c.Sign(r, clip.ID)
	}
	resp, err := c.Client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if want := fmt.Sprintf("bytes %d-%d/%d", have, clip.Size-1, clip.Size); resp.Header.Get("Content-Range") != want {
			return fmt.Errorf("%w: %q", ErrMalformed, resp.Header.Get("Content-Range"))
		}
	case http.StatusOK:
		if have, err = 0, truncate(f, sum); err != nil {
			return err
		}
	default:
		return fmt.Errorf("answered %s", resp.Status)
	}
	// Cancel the download if no byte arrives for stallAfter.
	watch := time.AfterFunc(stallAfter, cancel)
	defer watch.Stop()
	body := io.TeeReader(io.LimitReader(resp.Body, clip.Size-have+1), onWrite(func() { watch.Reset(stallAfter) }))
	n, err := io.Copy(io.MultiWriter(f, sum), body)
	switch {
	case err != nil:
		return err
	case have+n > clip.Size:
		return errors.Join(ErrOversized, truncate(f, sum))
	case have+n < clip.Size:
		return fmt.Errorf("%w: %d of %d bytes", ErrTruncated, have+n, clip.Size)
	}
	return nil
}

// onWrite is a writer that calls the function at each write and drops the bytes.
type onWrite func()

func (t onWrite) Write(p []byte) (int, error) {
	t()
	return len(p), nil
}

// ClipHandler serves GET and HEAD of /clips/<ID>, with ranges. A clip never
// changes, so caches may keep it for ever. open returns [fs.ErrNotExist] for a clip
// that is not there. Clips are not secret: a controller uses the same handler to be
// a cache for its neighbours. If allow is not nil, it may refuse a request; see
// [ClipGate].
func ClipHandler(open func(id playlist.ClipID) (io.ReadSeekCloser, int64, error), allow func(*http.Request, playlist.ClipID) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "GET or HEAD", http.StatusMethodNotAllowed)
			return
		}
		name, ok := strings.CutPrefix(r.URL.Path, "/clips/")
		id, err := playlist.ParseClipID(name)
		if !ok || err != nil || string(id) != name {
			http.NotFound(w, r)
			return
		}
		if allow != nil {
			switch err := allow(r, id); {
			case errors.Is(err, errTooMany):
				w.Header().Set("Retry-After", "10")
				http.Error(w, "too often", http.StatusTooManyRequests)
				return
			case err != nil:
				http.Error(w, "not for you", http.StatusForbidden)
				return
			}
		}
		f, _, err := open(id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			http.NotFound(w, r)
			return
		case err != nil:
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		defer func() { _ = f.Close() }()
		w.Header().Set("Content-Type", "audio/mpeg")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("ETag", `"`+string(id)+`"`)
		http.ServeContent(w, r, "", time.Time{}, f)
	})
}

const (
	clipHeader = "Dalaba-Controller"
	clipType   = "application/vnd.dalaba.clip-request.v1"
)

// clipStatement returns what a controller signs to request a clip.
func clipStatement(id playlist.ControllerID, clip playlist.ClipID) []byte {
	return pae(clipType, []byte(string(id)+" "+string(clip)))
}

// SignClip returns a [Clips.Sign] for a controller: it adds the controller's name
// and a signature, so that the county can refuse a stolen controller.
func SignClip(id playlist.ControllerID, key Signer) func(*http.Request, playlist.ClipID) {
	return func(r *http.Request, clip playlist.ClipID) {
		if sig, err := key.Sign(clipStatement(id, clip)); err == nil {
			r.Header.Set(clipHeader, string(id)+" "+base64.RawURLEncoding.EncodeToString(sig))
		}
	}
}

// How much one controller may ask for. It downloads up to four clips at once; others may
// hang on lines that it has lost. What comes faster than the rate waits.
const (
	clipRate   = 20 // requests a second
	clipBurst  = 200
	clipsAsked = 32 // requests at once
)

// clipAsker is a controller that has asked for clips.
type clipAsker struct {
	open  int
	limit *rate.Limiter
}

// ClipGate returns an allow function for [ClipHandler] that accepts only requests
// signed by a controller of the county that is not disabled, and not too many of one
// controller.
func ClipGate(registered func(context.Context, playlist.ControllerID) (Registered, error)) func(*http.Request, playlist.ClipID) error {
	var mu sync.Mutex
	askers := map[playlist.ControllerID]*clipAsker{} // those registered: no more than the county has
	return func(r *http.Request, clip playlist.ClipID) error {
		name, text, _ := strings.Cut(r.Header.Get(clipHeader), " ")
		sig, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || !playlist.IsToken(name) {
			return ErrUnknown
		}
		id := playlist.ControllerID(name)
		reg, err := registered(r.Context(), id)
		switch {
		case err != nil:
			return err
		case !reg.Key.Verify(clipStatement(id, clip), sig):
			return ErrSignature
		case reg.Disabled:
			return ErrDisabled
		}
		mu.Lock()
		a := askers[id]
		if a == nil {
			a = &clipAsker{limit: rate.NewLimiter(clipRate, clipBurst)}
			askers[id] = a
		}
		if a.open >= clipsAsked {
			mu.Unlock()
			return errTooMany
		}
		a.open++
		mu.Unlock()
		context.AfterFunc(r.Context(), func() { // it ends with the request
			mu.Lock()
			defer mu.Unlock()
			a.open--
		})
		return a.limit.Wait(r.Context())
	}
}
