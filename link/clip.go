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

	"dalaba/playlist"
)

// Wanted is a clip to be fetched.
type Wanted struct {
	Clip   playlist.Clip
	Urgent bool // an alert's: before all others
}

const (
	clipFetchers = 2
	stallAfter   = time.Minute // without a byte
	clipBackoff  = 5 * time.Second
	clipBackTop  = 10 * time.Minute
)

// clipDial is how long a source may take to answer a call: there are others to
// ask.
var clipDial = 10 * time.Second

// Clips fetches clips by HTTP from whoever has them: a neighbour, a town's
// cache, the county. Nobody need be trusted with it: a clip's name is the hash
// of its bytes. What arrived before the line broke is kept, and the rest asked
// for. Dir, Store, Sources and Log must be given.
type Clips struct {
	Dir   string // for parts of clips; nothing else may lie there
	Store ClipStore
	Log   *slog.Logger

	// Sources are the addresses to ask, the nearest first; "/clips/<ID>" is
	// appended.
	Sources func() []string

	Client *http.Client                              // default [http.DefaultClient]; see [ClipClient]
	Sign   func(r *http.Request, id playlist.ClipID) // puts a controller's name on a request; see [SignClip]
	Got    func(id playlist.ClipID)                  // told of each clip that was put away

	Fetchers int                           // at once; default 2
	Backoff  func(tries int) time.Duration // default 5 s doubling to 10 min, half of it jitter

	once  sync.Once
	mu    sync.Mutex
	want  []Wanted
	busy  map[playlist.ClipID]context.CancelFunc
	tries map[playlist.ClipID]int
	after map[playlist.ClipID]time.Time
	kick  chan struct{}
}

// ClipClient is an HTTP client for clips that dials as [MemberTLS] has it.
func ClipClient(c *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: clipDial}).DialContext, TLSClientConfig: c, TLSHandshakeTimeout: 30 * time.Second, ResponseHeaderTimeout: stallAfter,
		MaxIdleConnsPerHost: clipFetchers, IdleConnTimeout: stallAfter, Proxy: http.ProxyFromEnvironment,
	}}
}

func (c *Clips) init() {
	c.once.Do(func() {
		c.busy, c.tries = map[playlist.ClipID]context.CancelFunc{}, map[playlist.ClipID]int{}
		c.after, c.kick = map[playlist.ClipID]time.Time{}, make(chan struct{}, 1)
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

// Want says which clips are needed, in place of what was said before. Urgent
// ones are fetched first and do not wait for others to end; what is fetched
// now and no longer wanted is given up.
func (c *Clips) Want(all []Wanted) {
	c.init()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.want = slices.Clone(all)
	slices.SortStableFunc(c.want, func(a, b Wanted) int { return cmp.Compare(rank(a), rank(b)) })
	for id, stop := range c.busy {
		if !slices.ContainsFunc(c.want, func(w Wanted) bool { return w.Clip.ID == id }) {
			stop()
		}
	}
	c.tidy()
	for _, w := range all {
		if w.Urgent {
			delete(c.after, w.Clip.ID)
		}
	}
	signal(c.kick)
}

// tidy removes parts of clips that nobody wants any more.
func (c *Clips) tidy() {
	parts, _ := filepath.Glob(filepath.Join(c.Dir, "*.part"))
	for _, p := range parts {
		id := playlist.ClipID(strings.TrimSuffix(filepath.Base(p), ".part"))
		if !slices.ContainsFunc(c.want, func(w Wanted) bool { return w.Clip.ID == id }) {
			_ = os.Remove(p)
		}
	}
}

func rank(w Wanted) int {
	if w.Urgent {
		return 0
	}
	return 1
}

// Run fetches until ctx ends.
func (c *Clips) Run(ctx context.Context) error {
	c.init()
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
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
		case <-c.kick:
		case <-timer.C:
		}
		for {
			w, fctx, next := c.pick(ctx)
			if fctx == nil {
				timer.Reset(next)
				break
			}
			wait.Go(func() {
				err := c.fetch(fctx, w.Clip)
				c.done(ctx, w, err)
			})
		}
	}
}

// pick takes the next clip to be fetched, or says when to look again.
func (c *Clips) pick(ctx context.Context) (w Wanted, fctx context.Context, next time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := max(1, cmp.Or(c.Fetchers, clipFetchers)) - len(c.busy)
	next = time.Hour
	for _, w := range c.want {
		if c.busy[w.Clip.ID] != nil {
			continue
		}
		if room <= 0 && (!w.Urgent || room <= -clipFetchers) {
			break // urgent ones have room of their own
		}
		if wait := time.Until(c.after[w.Clip.ID]); wait > 0 {
			next = min(next, wait)
			continue
		}
		fctx, stop := context.WithCancel(ctx)
		c.busy[w.Clip.ID] = stop
		return w, fctx, 0
	}
	return Wanted{}, nil, next
}

func (c *Clips) done(ctx context.Context, w Wanted, err error) {
	c.mu.Lock()
	id := w.Clip.ID
	c.busy[id]()
	delete(c.busy, id)
	if err == nil {
		delete(c.tries, id)
		delete(c.after, id)
		c.want = slices.DeleteFunc(c.want, func(w Wanted) bool { return w.Clip.ID == id })
	} else {
		c.tries[id]++
		c.after[id] = time.Now().Add(c.Backoff(c.tries[id]))
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
	signal(c.kick)
}

func (c *Clips) part(id playlist.ClipID) string { return filepath.Join(c.Dir, string(id)+".part") }

// fetch brings one clip into the store.
func (c *Clips) fetch(ctx context.Context, clip playlist.Clip) error {
	if _, err := playlist.ParseClipID(string(clip.ID)); err != nil {
		return err
	}
	if ok, err := c.Store.HasClip(ctx, clip.ID); err != nil || ok {
		return err
	}
	var errs []error
	for _, base := range c.Sources() {
		err := c.from(ctx, base, clip)
		if err == nil {
			return c.put(ctx, clip)
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

func (c *Clips) put(ctx context.Context, clip playlist.Clip) error {
	f, err := os.Open(c.part(clip.ID))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := c.Store.PutClip(ctx, clip, f); err != nil {
		return err
	}
	return os.Remove(f.Name())
}

// from asks one source for what is missing of a clip, until all of it is in
// the part's file and hashes to its name.
func (c *Clips) from(ctx context.Context, base string, clip playlist.Clip) (err error) {
	f, err := os.OpenFile(c.part(clip.ID), os.O_RDWR|os.O_CREATE, 0o644)
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
		if have, err = 0, restart(f, sum); err != nil {
			return err
		}
	}
	for {
		if have < clip.Size {
			if err := c.get(ctx, base, clip, have, f, sum); err != nil {
				return err
			}
		}
		got := hex.EncodeToString(sum.Sum(nil))
		if got == string(clip.ID) {
			return f.Sync()
		}
		// Nobody can say which byte is wrong. Where somebody else, or a power cut,
		// may have spoilt the beginning, this source gets a chance of its own.
		if err := restart(f, sum); err != nil {
			return err
		}
		if have == 0 {
			return fmt.Errorf("%w: the bytes are those of %s", ErrMalformed, playlist.ClipID(got).Short())
		}
		have = 0
	}
}

func restart(f *os.File, sum hash.Hash) error {
	sum.Reset()
	_, err := f.Seek(0, io.SeekStart)
	return errors.Join(err, f.Truncate(0))
}

func (c *Clips) get(ctx context.Context, base string, clip playlist.Clip, have int64, f *os.File, sum hash.Hash) error {
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
		if have, err = 0, restart(f, sum); err != nil {
			return err
		}
	default:
		return fmt.Errorf("answered %s", resp.Status)
	}
	// A line that is up and carries nothing is given up after a while.
	watch := time.AfterFunc(stallAfter, cancel)
	defer watch.Stop()
	body := io.TeeReader(io.LimitReader(resp.Body, clip.Size-have+1), tick(func() { watch.Reset(stallAfter) }))
	n, err := io.Copy(io.MultiWriter(f, sum), body)
	switch {
	case err != nil:
		return err
	case have+n > clip.Size:
		return errors.Join(ErrOversized, restart(f, sum))
	case have+n < clip.Size:
		return fmt.Errorf("%w: %d of %d bytes", ErrTruncated, have+n, clip.Size)
	}
	return nil
}

type tick func()

func (t tick) Write(p []byte) (int, error) {
	t()
	return len(p), nil
}

// ClipHandler serves GET and HEAD of /clips/<ID>, with ranges. A clip never
// changes, so caches may keep it for good. open answers [fs.ErrNotExist] for
// one that is not there. Nothing here is secret: the same handler makes a
// controller a cache for its neighbours. allow, where it is given, may turn a
// request away; see [ClipGate].
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
			if err := allow(r, id); err != nil {
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

func clipStatement(id playlist.ControllerID, clip playlist.ClipID) []byte {
	return pae(clipType, []byte(string(id)+" "+string(clip)))
}

// SignClip is a [Clips.Sign] for a controller: it names the controller and
// proves it, so that the county can turn a stolen one away.
func SignClip(id playlist.ControllerID, key Signer) func(*http.Request, playlist.ClipID) {
	return func(r *http.Request, clip playlist.ClipID) {
		if sig, err := key.Sign(clipStatement(id, clip)); err == nil {
			r.Header.Set(clipHeader, string(id)+" "+base64.RawURLEncoding.EncodeToString(sig))
		}
	}
}

// ClipGate lets those through to a county's clips who are controllers of it
// and not disabled.
func ClipGate(registered func(context.Context, playlist.ControllerID) (Registered, error)) func(*http.Request, playlist.ClipID) error {
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
		return nil
	}
}
