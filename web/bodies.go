package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Why a body was not read.
var (
	ErrTooLarge = errors.New("the body is too large")
	ErrBusy     = errors.New("too much is being read at the moment")
)

// Bodies bounds the memory that the bodies of requests take, from their first byte
// until their requests are done. A stranger may send little; one stranger at a time
// may send as much as a known client.
type Bodies struct {
	Small     int64 // bytes of a stranger's body; only one at a time may be larger
	PerSource int   // requests of strangers from one source at once
	Strangers int   // requests of strangers at once in all
	Known     int   // requests of known clients at once
	Work      int   // requests of strangers worked on at once, once read; as many of known clients besides

	Wait time.Duration // for a place to be large, and for a turn to be worked on; default 20 s

	Source func(remote string) netip.Prefix // what counts as one source of requests

	once   sync.Once
	mu     sync.Mutex
	places []*place // of strangers, the oldest first
	known  Line     // of known clients, and for what is large of those that are read as strangers
	large  Line     // of one stranger whose body may be large
	work   [2]Line
}

// place is that of a stranger's request.
type place struct {
	from   netip.Prefix
	hangUp func() // ends the reading, and the waiting
	state  state
}

// state is what a stranger's request is about.
type state int

const (
	isRead    state = iota
	waits           // for a turn to be worked on
	isServed        // it is large, or worked on: it keeps its place
	displaced       // another took its place
)

// How long a body may take. A large one of a stranger has to come at paceBytes each
// paceWithin.
const (
	smallWithin = 30 * time.Second
	largeWithin = 2 * time.Minute

	paceBytes = 128 << 10
)

// defaultWait is how long a body waits for a place or a turn.
const defaultWait = 20 * time.Second

// paceWithin is a variable for tests.
var paceWithin = 10 * time.Second

func (b *Bodies) start() {
	b.known.Places, b.large.Places = b.Known, 1
	b.work[0].Places, b.work[1].Places = b.Work, b.Work
}

// reading is a body that is read.
type reading struct {
	b    *Bodies
	w    http.ResponseWriter
	r    *http.Request
	most int64
	from netip.Prefix
	ctx  context.Context // ends if another takes its place
	held []func()        // what it gives back in the end
}

// Read reads the body of a request, of up to most bytes, and waits for its turn to
// be worked on. The error is [ErrTooLarge], [ErrBusy] or that of the connection. If
// there is none, the caller calls done when it no longer needs the body.
func (b *Bodies) Read(w http.ResponseWriter, r *http.Request, most int64, known bool) (body []byte, done func(), err error) {
	b.once.Do(b.start)
	if r.ContentLength > most {
		return nil, nil, ErrTooLarge
	}
	ctx, cancel := context.WithCancel(r.Context())
	f := &reading{b: b, w: w, r: r, most: most, from: b.Source(r.RemoteAddr), ctx: ctx, held: []func(){cancel}}
	if known && b.known.Try(f.from) {
		f.held = append(f.held, b.known.Leave)
		body, err = f.asKnown()
	} else {
		body, err = f.inPlace(cancel, known)
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		err = ErrTooLarge
	}
	if err != nil {
		f.release()
		return nil, nil, err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})       // it would end the request's context
	return body, func() { readWithin(w, smallWithin); f.release() }, nil // what is left of the body has a deadline again
}

func (f *reading) release() {
	for _, leave := range f.held {
		leave()
	}
}

// asKnown reads the body of a known client that has one of their places.
func (f *reading) asKnown() ([]byte, error) {
	readWithin(f.w, largeWithin)
	body, err := f.little()
	if err == nil && int64(len(body)) > f.b.Small {
		body, err = f.rest(body, f.r.Body)
	}
	if err != nil {
		return nil, err
	}
	return body, f.wait(&f.b.work[1])
}

// inPlace reads a body in the place of a stranger's. It waits for another place before
// it reads more than is small: that of strangers, or if known is set one of those of known
// clients, all of which others at its address may hold.
func (f *reading) inPlace(cancel func(), known bool) ([]byte, error) {
	b := f.b
	large := &b.large
	if known {
		large = &b.known
	}
	p := &place{from: f.from, hangUp: func() { cancel(); readWithin(f.w, -time.Second) }}
	readWithin(f.w, smallWithin)
	if !b.enter(p) {
		return nil, ErrBusy
	}
	f.held = append(f.held, func() { b.leave(p) })
	body, err := f.little()
	switch {
	case !b.set(p, waits):
		return nil, ErrBusy
	case err != nil:
		return nil, err
	case int64(len(body)) > min(b.Small, f.most) && b.Small >= f.most:
		return nil, ErrTooLarge
	case int64(len(body)) > b.Small:
		if err := f.wait(large); err != nil {
			return nil, err
		}
		if !b.set(p, isServed) {
			return nil, ErrBusy
		}
		readWithin(f.w, paceWithin)
		if body, err = f.rest(body, &paced{f.r.Body, f.w, time.Now().Add(largeWithin), 0}); err != nil {
			return nil, err
		}
	}
	if err := f.wait(&b.work[0]); err != nil {
		return nil, err
	}
	if !b.set(p, isServed) {
		return nil, ErrBusy
	}
	return body, nil
}

// wait waits for a place in a line.
func (f *reading) wait(l *Line) error {
	ctx, cancel := context.WithTimeout(f.ctx, cmp.Or(f.b.Wait, defaultWait))
	defer cancel()
	if !l.Take(ctx, f.from) {
		return ErrBusy
	}
	f.held = append(f.held, l.Leave)
	return nil
}

// little reads a body up to where it is no longer small.
func (f *reading) little() ([]byte, error) {
	small := min(f.b.Small, f.most)
	return readAll(nil, io.LimitReader(f.r.Body, small+1), min(f.r.ContentLength, small+1))
}

// rest reads what is left of a body. If its length is not known, it takes as much
// memory as the longest: a buffer that grows takes up to three times as much.
func (f *reading) rest(body []byte, more io.Reader) ([]byte, error) {
	length := f.r.ContentLength
	if length < 0 {
		length = f.most
	}
	return readAll(body, http.MaxBytesReader(f.w, io.NopCloser(more), f.most-int64(len(body))), length)
}

// paced is a body that has to come at a pace, and at last by its end.
type paced struct {
	io.Reader
	w     http.ResponseWriter
	end   time.Time
	since int64 // bytes since the deadline was set
}

func (p *paced) Read(b []byte) (n int, err error) {
	n, err = p.Reader.Read(b)
	if p.since += int64(n); p.since >= paceBytes {
		p.since = 0
		readWithin(p.w, min(paceWithin, time.Until(p.end)))
	}
	return n, err
}

// readWithin sets how long the rest of a body may take.
func readWithin(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d)) // not every connection can
}

// readAll reads the rest of a body of up to length bytes; negative: it is not known.
func readAll(body []byte, rest io.Reader, length int64) ([]byte, error) {
	buf := bytes.NewBuffer(body)
	if more := length - int64(len(body)); more > 0 {
		buf.Grow(int(more) + bytes.MinRead) // ReadFrom wants that much more to see the end
	}
	_, err := buf.ReadFrom(rest)
	return buf.Bytes(), err
}

// enter takes a place for a stranger's request, if need be that of another. It
// reports whether there was one.
func (b *Bodies) enter(p *place) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := map[netip.Prefix]int{}
	for _, o := range b.places {
		of[o.from]++
	}
	if full := of[p.from] >= b.PerSource; full || len(b.places) >= b.Strangers {
		out := b.victim(p.from, full, of)
		if out == nil {
			return false
		}
		out.state = displaced
		out.hangUp()
		b.places = slices.DeleteFunc(b.places, func(o *place) bool { return o == out })
	}
	b.places = append(b.places, p)
	return true
}

// victim returns the request that a newcomer displaces; nil if there is none. It is
// one of the source that has the most places and was served last, and never one of a
// source that has no more than the newcomer's. The longest that is read goes first.
func (b *Bodies) victim(from netip.Prefix, own bool, of map[netip.Prefix]int) *place {
	var found *place
	for _, o := range b.places {
		switch {
		case o.state == isServed, own && o.from != from, !own && of[o.from] <= of[from]:
		case found == nil || cmp.Or(
			cmp.Compare(of[o.from], of[found.from]),
			cmp.Compare(b.work[0].last(o.from), b.work[0].last(found.from)),
			cmp.Compare(found.state, o.state),
		) > 0:
			found = o
		}
	}
	return found
}

// set changes what a request is about, unless it is displaced.
func (b *Bodies) set(p *place, s state) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.state == displaced {
		return false
	}
	p.state = s
	return true
}

func (b *Bodies) leave(p *place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.places = slices.DeleteFunc(b.places, func(o *place) bool { return o == p })
}
